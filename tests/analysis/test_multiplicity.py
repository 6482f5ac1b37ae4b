"""Holm: the textbook's numbers, and no more false rejections than the level."""

import numpy as np
import pytest

from analysis.multiplicity import holm


def test_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_claims_that_were_not_tested_count():
    assert holm([0.01, 0.02], size=6) == pytest.approx([0.06, 0.1])


def test_false_rejections_of_any_are_within_the_level():
    generator = np.random.default_rng(0)
    rejected = [holm(generator.uniform(size=6)).min() < 0.05 for _ in range(4_000)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.0105)
