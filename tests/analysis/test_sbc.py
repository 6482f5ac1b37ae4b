"""Simulation-based calibration: exact and wrong guides of a linear-Gaussian VAE, and the exactness of the band."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal

from analysis.calibration import RankUniformity, posterior_ranks
from models.linear import LinearGaussianVAE

DRAWS = 19


def uniformity(spread: float, shift: float = 0.0, num: int = 500) -> RankUniformity:
    """Ranks under the exact guide with its σ multiplied by ``spread`` and its mean moved by ``shift`` σ."""
    vae = LinearGaussianVAE.random(3, 6, gain=2.0, noise=0.7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        z = vae.prior().sample((num,))
        exact = vae.posterior(vae.likelihood(z).sample()).base_dist
        guide = Independent(Normal(exact.loc + shift * exact.scale, spread * exact.scale), 1)
        return RankUniformity(posterior_ranks(z, (guide.sample((1,)) for _ in range(DRAWS))), DRAWS)


def test_exact_guide_lies_inside_the_band():
    calibration = uniformity(1.0)
    lower, upper = calibration.band()
    shares = calibration.counts / len(calibration.ranks)
    assert ((lower <= shares) & (shares <= upper)).all()
    assert not calibration.rejects()


# With 500 simulations a σ that is 30 % off has p = 1e-7 or less, so that these are far from the edge of detection.
@pytest.mark.parametrize(("spread", "shift"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.5)])
def test_wrong_guides_are_rejected(spread, shift):
    calibration = uniformity(spread, shift)
    assert calibration.p_value() < 1e-6
    lower, upper = calibration.band()
    shares = calibration.counts / len(calibration.ranks)
    assert not ((lower <= shares) & (shares <= upper)).all()


def test_narrow_guides_pile_up_at_the_ends_and_wide_ones_in_the_middle():
    ends = [
        float(((ranks == 0) | (ranks == DRAWS)).double().mean())
        for ranks in (uniformity(0.5).ranks, uniformity(1.0).ranks, uniformity(2.0).ranks)
    ]
    assert ends[0] > 2 / (DRAWS + 1) > ends[2]
    assert ends[0] > ends[1] > ends[2]


def test_p_value_is_exact_by_enumeration():
    """Three simulations of ranks in {0, 1, 2}: all 27 outcomes."""
    outcomes = torch.cartesian_prod(*[torch.arange(3)] * 3)
    tests = [RankUniformity(row[:, None], 2) for row in outcomes]
    tails = np.array([float(test.tails()[0]) for test in tests])
    for test, tail in zip(tests, tails, strict=True):
        assert test.p_value() == pytest.approx((tails <= tail * (1 + 1e-9)).mean(), abs=1e-12)


def test_band_has_its_level_in_every_dimension_at_once():
    # 4,000 replications of 60 simulations in 4 independent dimensions: a level 1 point off 5 % is seen (3 s.e.).
    generator = torch.Generator().manual_seed(0)
    ranks = torch.randint(DRAWS + 1, (4_000, 60, 4), generator=generator)
    lower, upper = RankUniformity(ranks[0], DRAWS).band()
    shares = torch.stack([(ranks <= k).sum(1) for k in range(DRAWS)], -1).numpy() / 60
    outside = ((shares < lower - 1e-9) | (shares > upper + 1e-9)).any((1, 2)).mean()
    # Counts are discrete and Bonferroni conservative by a hair, so that the level is an upper bound.
    assert 0.035 < outside < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4_000)


def test_p_value_and_band_agree():
    generator = torch.Generator().manual_seed(1)
    decisions = []
    for _ in range(30):
        calibration = RankUniformity(torch.randint(DRAWS + 1, (40, 2), generator=generator), DRAWS)
        lower, upper = calibration.band(0.3)
        shares = calibration.counts / 40
        inside = ((shares >= lower - 1e-9) & (shares <= upper + 1e-9)).all()
        assert calibration.rejects(0.3) != inside
        decisions.append(inside)
    assert 0 < sum(decisions) < 30


def test_ranks_are_counts_and_blocks_do_not_matter():
    z = torch.tensor([[0.0, 1.0]])
    draws = torch.tensor([[[-1.0, 0.0]], [[-2.0, 2.0]], [[3.0, 0.5]]])
    assert posterior_ranks(z, [draws]).tolist() == [[2, 2]]
    assert posterior_ranks(z, draws.split(1)).tolist() == [[2, 2]]


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="expected draws"):
        posterior_ranks(torch.zeros(2, 3), [torch.zeros(5, 2)])
    with pytest.raises(ValueError, match="posterior_ranks"):
        RankUniformity(torch.tensor([[4]]), 3)
