"""Boosted trees that tell codes from prior draws: as sharp with the few bins of many dimensions as with all bins."""

import math

import pytest
import torch

from analysis.two_sample import ClassifierTest, classifier_test
from study.measurement.estimators.two_sample import boosted_trees

DIM = 4096


@pytest.mark.parametrize(("dim", "bins"), [(2, 255), (512, 255), (DIM, 128), (65_536, 128)])
def test_bins_fall_with_the_dimensions(dim, bins):
    assert boosted_trees(dim, 0).max_bins == bins


@pytest.mark.slow
def test_few_bins_find_a_planted_scale_as_many_do():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 400, DIM, generator=generator, dtype=torch.float64)
    x[:, 7] *= 0.3

    def tested(**changes: int) -> ClassifierTest:
        trees = boosted_trees(DIM, 0).set_params(**changes)
        return classifier_test(x, y, trees, torch.Generator().manual_seed(1))

    few, many, blunt = tested(), tested(max_bins=255), tested(max_bins=2)
    for name in ("auc", "accuracy"):
        ours, theirs, least = (getattr(test, name) for test in (few, many, blunt))
        assert ours.value > 0.5 + 4 * ours.standard_error
        assert ours.value > theirs.value - 2 * math.hypot(ours.standard_error, theirs.standard_error)
        assert ours.value > least.value + 2 * least.standard_error, "two bins see no scale"
        assert ours.standard_error < 1.1 * theirs.standard_error
