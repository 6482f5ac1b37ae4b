"""Samples alone: distances between one draw of q(z|x) per image and as many draws of the prior.

A classifier judged on n rows of each cannot see more than about log n nats: its KL is an estimate of a lower end.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from analysis import two_sample
from analysis.estimate import Estimate
from analysis.seeds import integer_seed
from study.design.cell import Evaluate
from study.measurement.estimators import Quantity, Refused, estimator
from study.measurement.replicate import Split

LEAST = 40


def _asked(evaluate: Evaluate) -> bool:
    return evaluate.two_sample_draws > 0


class _Pair(NamedTuple):
    codes: Tensor
    prior: Tensor


def _pair(split: Split) -> _Pair:
    num = min(split.replicate.evaluate.two_sample_draws, len(split.rows), len(split.replicate.prior_z))
    if num < LEAST:
        raise Refused(f"two-sample tests need {LEAST} images", num)
    return _Pair(split.codes_of(num).z.flatten(1), split.replicate.prior_z[:num].flatten(1))


@estimator(
    Quantity(
        "squared_mmd",
        "E k(x, x′) + E k(y, y′) − 2E k(x, y), Gaussian kernel of median bandwidth",
        limits="blind to what the bandwidth smooths away, as D grows",
    ),
    asked=_asked,
)
def squared_mmd(split: Split) -> Estimate:
    pair = _pair(split)
    return two_sample.squared_mmd(*pair, two_sample.median_bandwidth(*pair))


@estimator(
    Quantity(
        "squared_sliced_wasserstein",
        "E_θ W₂²(θᵀz, θᵀz′) over directions",
        "upper",
        limits="O(1/n) above 0 where the laws agree",
    ),
    asked=_asked,
)
def squared_sliced_wasserstein(split: Split) -> Estimate:
    return two_sample.squared_sliced_wasserstein(
        *_pair(split), split.replicate.stream("sliced Wasserstein", split.name)
    )


@estimator(
    Quantity(
        "classifier_accuracy_codes",
        "held-out accuracy of boosted trees, codes against prior draws",
        limits="of that classifier: ½ proves nothing",
    ),
    Quantity("classifier_auc", "its AUC", limits="the same"),
    Quantity(
        "classifier_kl",
        "its Donsker–Varadhan bound on KL",
        "consistent",
        "for a lower end of KL(q_N ‖ p), and upward: the log of a mean",
        limits="refused above log n (McAllester & Stratos 2020); flagged where few draws carry it",
    ),
    asked=_asked,
)
def classifier(split: Split) -> dict[str, Estimate]:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  (a second of imports, for this alone)

    purpose = "classifier of codes", split.name
    seed = integer_seed(split.replicate.seed, *purpose, "trees")
    # 64 bins take a third of the time of the usual 255 and find nearly as much: in simulations of 250 to 2,000 rows of
    # each law with 4 to 64 narrow clusters in four of 8 to 512 dimensions the AUC was lower by 0.012 at most. With 32
    # bins it was lower by 0.1 in three others of 500 rows, and in one with 8 leaves in the place of 31 by as much.
    trees = HistGradientBoostingClassifier(max_iter=30, max_bins=64, early_stopping=False, random_state=seed)
    generator = split.replicate.stream(*purpose, "halves")
    test = two_sample.classifier_test(*_pair(split), trees, generator)
    return {"classifier_accuracy_codes": test.accuracy, "classifier_auc": test.auc, "classifier_kl": test.kl}


@estimator(
    Quantity(
        "nearest_neighbour_kl",
        "KL(q_N ‖ p) from k-th nearest-neighbour distances (Wang, Kulkarni & Verdú 2009)",
        "consistent",
        limits="D at most 10: beyond, the bias is of the order of the value",
    ),
    asked=_asked,
)
def nearest_neighbour_kl(split: Split) -> Estimate:
    return two_sample.nearest_neighbour_kl(*_pair(split))
