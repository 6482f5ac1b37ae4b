"""Kuzushiji-MNIST: cursive hiragana from historical Japanese books (Clanuwat et al. 2018, arXiv:1812.01718)."""

from __future__ import annotations

from typing import final

from study.run.data.datasets._idx import Idx


@final
class Kmnist(Idx):
    """60,000 + 10,000 cursive hiragana, 28×28 grey, 10 classes."""

    reference = "Clanuwat et al. 2018, arXiv:1812.01718"
    source = "KMNIST"
