"""Remedies: the share of the gap closed, its interval, and which cells are paired."""

import math
from dataclasses import replace

import pytest

from analysis.interval import Interval
from study.answers.conclusions.words import REPAIRED, repair_name
from study.answers.remedies import EX_POST, NO_GAP, ONE_SEED, POOLED, Treatment, remedies
from study.answers.results import Results

from .hypotheses.conftest import remembered, study_of

WORSE = {"standard_normal": 100.0, "vamp": 60.0, "hypersphere": 30.0}


def distances(cell, _replicate):
    """The prior's distance by what the cell changes; the aggregate of the untreated cell closes all of it."""
    prior = WORSE[cell.prior.name]
    if cell.train.kl_warmup or cell.train.aggressive_epochs:
        prior = 76.0
    return {"realism/prior/squared_frechet": prior, "realism/aggregate_train/squared_frechet": 20.0}, {}


def ranked(*commands):
    cells = {cell.key: cell for command in commands for cell in remembered(study_of(command), distances)}
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


def test_a_density_that_repeats_training_images_does_so_whatever_its_options():
    (cell,) = remembered(
        study_of("latent-study run smoke latent_dim=4 train.epochs=2 prior=standard_normal"), distances
    )
    for label, repeats in {
        "aggregate_kernel": True,
        "aggregate_kernel[bandwidths=[1.5, 2.0]]": True,
        "moment_normal": False,
        "gaussian_mixture[components=3]": False,
        "of_another_package": False,
    }.items():
        density = Treatment(cell, label, label, EX_POST)
        assert density.repeats is repeats, label
    assert repair_name(Treatment(cell, "moment_normal[x=1]", "", EX_POST)) == REPAIRED["moment_normal"]


def shares(command, truth):
    table = remedies(Results(tuple(remembered(study_of(command), truth))))
    return {row.latent_dim: row for row in table.itertuples() if row.remedy == "vamp"}


def test_the_interval_of_a_share_is_fiellers_over_seeds_and_latent_dimensions():
    gains = {4: [1.0, 2.0, 4.0], 8: [10.0, 30.0, 20.0]}

    def truth(cell, replicate):
        gained = gains[cell.latent_dim][replicate] if cell.prior.name == "vamp" else 0.0
        prior = 120.0 + replicate - gained
        return {"realism/prior/squared_frechet": prior, "realism/aggregate_train/squared_frechet": 20.0}, {}

    found = shares("latent-study run smoke latent_dim=4,8 seeds=3 train.epochs=2 prior=standard_normal,vamp", truth)
    gap = [100.0, 101.0, 102.0]
    for dim, strata in {4: [gains[4]], 8: [gains[8]], POOLED: gains.values()}.items():
        expected = Interval.fieller([(gained, gap) for gained in strata])
        line = found[dim]
        got = (line.share, line.lower, line.upper)
        # The made-up stores add a thousandth of noise.
        assert got == pytest.approx((expected.value, expected.lower, expected.upper), abs=0.01)
        assert (line.seeds, line.flag) == (expected.n, "")


@pytest.mark.parametrize(
    ("seeds", "aggregate", "flag"), [(1, 20.0, ONE_SEED), (1, 98.0, NO_GAP), (1, 96.0, ONE_SEED), (3, 200.0, NO_GAP)]
)
def test_a_share_without_an_interval_says_why(seeds, aggregate, flag):
    """Made-up evaluations have standard errors of a hundredth, so that 100 − 98 is 1.4 errors, and 100 − 96 is 2.9."""

    def truth(cell, _replicate):
        prior = WORSE[cell.prior.name]
        return {"realism/prior/squared_frechet": prior, "realism/aggregate_train/squared_frechet": aggregate}, {}

    command = f"latent-study run smoke latent_dim=4 seeds={seeds} train.epochs=2 prior=standard_normal,vamp"
    line = shares(command, truth)[4]
    assert line.flag == flag
    assert math.isnan(line.share) == (flag == NO_GAP)


def test_a_cell_made_from_other_images_is_no_remedy():
    command = "latent-study run smoke latent_dim=4 train.epochs=2 prior=standard_normal,vamp"
    untreated, treated = sorted(remembered(study_of(command), distances), key=lambda cell: cell.settings["prior"])
    other = replace(treated, manifest=treated.manifest.model_copy(update={"images": "others"}))
    assert len(remedies(Results((untreated, treated)))) == 1
    assert remedies(Results((untreated, other))).empty
