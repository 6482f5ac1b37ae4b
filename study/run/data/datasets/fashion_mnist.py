"""Fashion-MNIST: articles of clothing (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747)."""

from __future__ import annotations

from typing import final

from study.run.data.datasets._idx import Idx


@final
class FashionMnist(Idx):
    """60,000 + 10,000 articles of clothing, 28×28 grey, 10 classes."""

    reference = "Xiao et al. 2017, arXiv:1708.07747"
    source = "FashionMNIST"
