"""Remedies: the share of the gap closed, its interval, and which cells are paired."""

import math

import numpy as np
import pytest

from study.answers.remedies import NO_GAP, ONE_SEED, remedies, share
from study.answers.results import Results

from .hypotheses.conftest import remembered

RNG = np.random.default_rng(3)


def test_exact_shares_have_no_width():
    gap = np.array([10.0, 20.0, 15.0])
    found = share([(0.5 * gap, gap), (0.5 * gap, gap)])
    assert (found.value, found.lower, found.upper) == pytest.approx((0.5, 0.5, 0.5), abs=1e-6)


def test_one_seed_has_no_interval():
    found = share([(np.array([3.0]), np.array([4.0]))])
    assert found.value == 0.75
    assert math.isnan(found.lower)
    assert found.flag == ONE_SEED


@pytest.mark.parametrize("centre", [0.0, -50.0])
def test_where_there_is_no_gap_the_share_is_refused(centre):
    gap = centre + np.array([-1.0, 1.5, 0.2])
    found = share([(np.ones(3), gap)])
    assert math.isnan(found.value)
    assert found.flag == NO_GAP


def test_the_ends_are_where_the_paired_test_just_rejects():
    a, b = 5 + RNG.normal(size=6), 10 + RNG.normal(size=6)
    found = share([(a, b)])
    critical = 2.570581836  # of Student's t at 97.5 %, 5 degrees of freedom
    for end in (found.lower, found.upper):
        rest = a - end * b
        assert abs(rest.mean()) / (rest.std(ddof=1) / math.sqrt(6)) == pytest.approx(critical, rel=1e-6)
    assert found.lower < found.value < found.upper


def test_intervals_cover_the_true_share():
    """2,000 studies of 3 strata × 3 seeds: 95 % ± 1.5 %, which three standard errors of a proportion are."""
    covered = 0
    for _ in range(2000):
        strata = []
        for scale in (4.0, 6.0, 8.0):
            noise = RNG.normal(size=3)
            strata.append((0.6 * scale + 0.4 * noise + 0.2 * RNG.normal(size=3), scale + 0.4 * noise))
        found = share(strata)
        covered += found.lower <= 0.6 <= found.upper
    assert 0.935 <= covered / 2000 <= 0.965


WORSE = {"standard_normal": 100.0, "vamp": 60.0, "hypersphere": 30.0}


def distances(cell, _replicate):
    """The prior's distance by what the cell changes; the aggregate of the untreated cell closes all of it."""
    prior = WORSE[cell.prior.name]
    if cell.train.kl_warmup or cell.train.aggressive_epochs:
        prior = 76.0
    return {"realism/prior/squared_frechet": prior, "realism/aggregate_train/squared_frechet": 20.0}, {}


def ranked(*commands):
    cells = {cell.key: cell for command in commands for cell in remembered(command, distances)}
    table = remedies(Results(tuple(cells.values())))
    return {(row.remedy, row.kind): round(row.share, 1) for row in table.itertuples()}


def test_a_remedy_changes_one_thing_or_a_prior_with_its_posterior():
    fixed = "latent-study run smoke latent_dim=4 train.epochs=2 "
    assert ranked(
        fixed + "prior=standard_normal,vamp",
        fixed + "prior=standard_normal train.kl_warmup=1",
        fixed + "prior=standard_normal train.encoder_updates=5 train.aggressive_epochs=1",
        fixed + "prior=vamp train.kl_warmup=1",
        fixed + "prior=hypersphere posterior=von_mises_fisher",
        fixed + "prior=standard_normal beta=2",
    ) == {
        ("vamp", "prior"): 0.5,
        ("train.kl_warmup=1", "training"): 0.3,
        ("train.aggressive_epochs=1, train.encoder_updates=5", "training"): 0.3,
        ("hypersphere, posterior=von_mises_fisher", "prior and posterior"): 0.9,
    }
