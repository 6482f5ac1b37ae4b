"""Every hypothesis in worlds where its claim is true, where it is false, and where the seeds do not agree.

The worlds are made of the cells that the hypothesis names in its ``needs``, so that those are enough to decide it.
"""

import io
import math

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg

from study.answers.hypotheses import _linear_gaussian, h4_disjointness, hypotheses, needed_study
from study.answers.results import Results

from .conftest import remembered

BY_ID = {hypothesis.id: hypothesis for hypothesis in hypotheses()}


def realism(**distances):
    return {f"realism/{source}/squared_frechet": value for source, value in distances.items()}


def aggregate(row="train", **values):
    return {f"aggregate/{row}/{name}": value for name, value in values.items()}


def overlap(cell, holds):
    """ln BC is −0.4 KL, and in the false world ten per cent further below zero at each doubling of D."""
    kl = np.linspace(4, 40, 30)
    log_overlap = -0.4 * kl * (1 if holds else 1 + 0.1 * math.log2(cell.latent_dim))
    records = {"kl_standard": ("code", kl), "log_bhattacharyya": ("code", log_overlap)}
    return aggregate(rate=20.0), {"codes": xr.Dataset(records)}


def inert_dimensions(cell, holds):
    dims = np.array([cell.latent_dim, 1024, 65536])
    change = np.array([0.0, 1e-13, 1e-12]) if holds else np.array([0.0, 1e-3, 1e-2])
    values = dict.fromkeys(("kl", "information", "total_variation"), ("padded_dim", 2.0 + change))
    thickness = {"shell_thickness": ("padded_dim", 1 / np.sqrt(2 * dims))}
    return aggregate(rate=20.0), {"padding": xr.Dataset(values | thickness, {"padded_dim": dims})}


def shells(cell, holds):
    return aggregate(norm_auc=0.51 if holds else 0.9, log_ratio_auc=0.95, mean_square=1.0), {}


def coverage(cell, holds):
    log_n = math.log(cell.limit)
    sizes = np.array([cell.limit // 24, cell.limit])
    curve = {"kl": (("split", "size"), [[9.0, 6.0]]), "num_images": (("split", "size"), [sizes])}
    estimates = aggregate(
        kl=30 / (1 + cell.beta) - log_n,
        kl_slope_log_n=-1.0 if holds else -0.6,
        information=log_n - (0.001 if cell.beta < 1 else 2.0),
        log_n=log_n,
    )
    return estimates, {"subsampling": xr.Dataset(curve, {"split": ["train"]})}


def rate(cell, holds):
    rate = 10 * cell.latent_dim**0.1 / cell.beta**0.5
    gap = 5 * math.log1p(rate) if holds else 3 * math.log2(cell.latent_dim) + math.log1p(rate)
    return aggregate(rate=rate) | realism(prior=30 + gap, aggregate_train=30.0), {}


def mismatch(cell, holds):
    growth = (0.5 if holds else 0.01) * math.log2(cell.latent_dim)
    return aggregate(kl=1 + growth) | aggregate("held_out", kl_certified_aggregate=0.8 * (1 + growth)), {}


def ex_post(cell, holds):
    fitted = 40.0 if holds else 90.0
    names = ("gaussian_mixture", "moment_normal", "aggregate_kernel")
    densities = {f"densities/{n}/certified_gap": gap for n, gap in zip(names, (3.0, 1.0, 9.0), strict=True)}
    distances = {"gaussian_mixture": fitted, "moment_normal": 95.0, "aggregate_kernel": 20.0}
    return densities | realism(prior=100.0, aggregate_train=20.0, **distances), {}


def spatial_codes(cell, holds):
    is_map = len(cell.latent_shape) > 1
    prior = 100.0 if is_map else 60.0 if holds else 120.0
    shuffles = {"shuffled_locations": 90.0 if holds else 30.0, "shuffled_channels": 40.0}
    return realism(prior=prior, aggregate_held_out=20.0, **(shuffles if is_map else {})), {}


def reductions(cell, holds):
    """The asker's observations under averages alone, or, in the false world, under the sum alone."""
    seen = (cell.objective.name != "elbo") == holds
    estimates = aggregate("held_out", reconstruction_error=0.01)
    estimates |= aggregate(rms_loc=0.1, mean_scale=0.98, rate=200.0)
    estimates |= realism(prior=200.0 if seen else 40.0, aggregate_held_out=20.0)
    return estimates | {"realism/local/label_agreement_1": 0.95}, {}


def normalisation(cell, holds):
    batch = cell.network.options["norm"] == "batch"
    prior = 200.0 if batch and holds else 100.0
    modes = {"prior_batch_statistics": prior} if batch else {}
    return realism(prior=prior, aggregate_train=20.0, **modes), {}


def pruning(cell, holds):
    return aggregate(active_units=min(cell.latent_dim, 10) if holds else 0.8 * cell.latent_dim), {}


def extrapolation(cell, holds):
    draws = np.linspace(0, 1, 40)
    log_ratio = np.stack([-100 * draws, 10 * draws])
    distance = np.stack([draws if holds else (draws * 7.3) % 1, draws])
    records = {"log_ratio": (("source", "draw"), log_ratio), "distance": (("source", "draw"), distance)}
    decoded = xr.Dataset(records, {"source": ["prior", "aggregate_train"]})
    return aggregate(log_ratio_auc=0.95), {"decoded": decoded}


def margins(cell, holds):
    estimates = {}
    for scale in (0.5, 1.0, 2.0, 4.0):
        estimates[f"realism/local/label_agreement_{scale:g}"] = 1 - 0.2 * scale
        estimates[f"realism/local/predicted_flips_{scale:g}"] = 0.2 * scale + (0.01 if holds else 0.3)
    return estimates, {}


def learned_priors(cell, holds):
    standard = cell.prior.name == "standard_normal"
    elbo = -100.0 if standard else -95.0 if holds else -99.5
    prior = 100.0 if standard else 30.0 if holds else 80.0
    fit = {"densities/gaussian_mixture/certified_gap": 1.0} | realism(gaussian_mixture=50.0) if standard else {}
    return aggregate("held_out", elbo=elbo) | realism(prior=prior) | fit, {}


def likelihood(cell, holds):
    other = cell.likelihood.name != "bernoulli"
    return realism(prior=200.0 if other and holds else 100.0, aggregate_train=20.0), {}


def spherical_draws(cell, holds):
    """At the smallest D shells differ and the projection helps, whatever the claim says of the others."""
    differ = cell.latent_dim == 8
    distances = realism(prior=100.0, shell_prior=50.0 if differ or not holds else 99.0)
    return aggregate(norm_auc=0.9 if differ else 0.5) | distances, {}


def slack(cell, holds):
    kl = cell.latent_dim / cell.train.epochs
    return aggregate(kl=kl, kl_moments_diagonal=(0.8 if holds else 0.1) * kl), {}


def misaligned_codes(cell, holds):
    spectrum = xr.Dataset({"eigenvalue": ("rank", np.linspace(5, 1, 8))})
    shares = {"kl_moments": 8.0, "kl_moments_diagonal": 1.0 if holds else 7.0}
    return aggregate(kl=10.0, largest_eigenvalue=5.0, information=4.0, log_n=7.3, **shares), {"spectrum": spectrum}


WORLDS = {
    "H1": overlap,
    "H2": inert_dimensions,
    "H3": shells,
    "H5": coverage,
    "H6": rate,
    "H7": mismatch,
    "H8": ex_post,
    "H9": spatial_codes,
    "H10": reductions,
    "H11": normalisation,
    "H12": pruning,
    "H13": extrapolation,
    "H14": margins,
    "H15": learned_priors,
    "H16": likelihood,
    "H17": spherical_draws,
    "H18": slack,
    "H19": misaligned_codes,
}


def truth_of(name, holds):
    return lambda cell, replicate: WORLDS[name](cell, holds(replicate))


def world(name, holds, *assignments):
    """The results of the study that the hypothesis needs, where its claim holds in the replicates of ``holds``."""
    return remembered(needed_study(name).override(assignments), truth_of(name, holds))


def test_every_hypothesis_that_rests_on_cells_has_its_worlds():
    assert set(WORLDS) | {"H4"} == set(BY_ID)


@pytest.mark.parametrize("name", WORLDS)
def test_where_the_claim_is_true_it_is_supported_and_drawn(name):
    case = BY_ID[name].examine(world(name, lambda replicate: True))
    verdict = case.verdict
    assert verdict.decision == "supported", verdict.why
    assert verdict.seeds == 5
    assert verdict.interval[0] <= verdict.value <= verdict.interval[1]
    assert "digits" in verdict.scope
    figure = case.figure()
    FigureCanvasAgg(figure)
    figure.savefig(io.BytesIO(), format="png")
    for axes in figure.axes:
        assert axes.get_ylabel() or len(axes.get_yticklabels()) >= 1


@pytest.mark.parametrize("name", WORLDS)
def test_one_seed_decides_nothing(name):
    verdict = BY_ID[name].examine(world(name, lambda replicate: True, "seeds=1")).verdict
    assert verdict.decision == "undecided"
    assert verdict.why.startswith("one seed")


@pytest.mark.parametrize(("holds", "decision"), [(True, "undecided"), (False, "refuted")])
def test_spatial_codes_without_the_twin_can_be_refuted_and_not_supported(holds, decision):
    verdict = BY_ID["H9"].examine(world("H9", lambda replicate: holds, "latent_dim=64x2x2,4x2x2")).verdict
    assert verdict.decision == decision
    assert "without the twin" in verdict.why


@pytest.mark.parametrize(("binarisation", "decision"), [("dynamic", "undecided"), ("threshold", "supported")])
def test_copies_of_images_binarised_by_chance_are_not_judged_as_reconstructions(binarisation, decision):
    results = world("H10", lambda replicate: True, f"binarisation={binarisation}")
    assert BY_ID["H10"].examine(results).verdict.decision == decision


def test_surplus_of_d_at_fixed_training_is_not_taken_for_an_effect_of_d():
    """Where the mismatch grows with D after short training alone, H7 is refuted, and says what short runs show."""

    def cured(cell, replicate):
        holds = cell.train.epochs == 20
        return mismatch(cell, holds)

    verdict = BY_ID["H7"].examine(remembered(needed_study("H7"), cured)).verdict
    assert verdict.decision == "refuted"
    assert "at the shortest training 0.5" in verdict.why
    short = remembered(needed_study("H7").override(["train.epochs=20"]), cured)
    assert BY_ID["H7"].examine(short).verdict.decision == "undecided"


@pytest.mark.parametrize("name", ["H1", "H8", "H15"])  # records, fitted densities, another factor than D
def test_cells_on_disk_say_the_same(name, stored):
    study, truth = needed_study(name), truth_of(name, lambda replicate: True)
    on_disk, in_memory = (BY_ID[name].examine(keep(study, truth)).verdict for keep in (stored, remembered))
    assert on_disk == in_memory


@pytest.mark.parametrize("name", WORLDS)
def test_where_the_claim_is_false_it_is_refuted(name):
    verdict = BY_ID[name].examine(world(name, lambda replicate: False)).verdict
    assert verdict.decision == "refuted", verdict.why


@pytest.mark.parametrize("name", WORLDS)
def test_where_seeds_disagree_it_is_undecided(name):
    verdict = BY_ID[name].examine(world(name, lambda replicate: replicate % 2 == 0)).verdict
    assert verdict.decision == "undecided", verdict.why
    assert math.isfinite(verdict.value)


def test_disjointness_is_decided_without_cells():
    case = BY_ID["H4"].examine(Results(()))
    verdict = case.verdict
    assert verdict.decision == "supported", verdict.why
    assert abs(verdict.value) < 0.1
    assert verdict.seeds == h4_disjointness.REPETITIONS
    assert len(case.figure().axes) == 2


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({"samples": 1.0}, "refuted"),  # samples as bad as those with the known fault
        ({"total_variation": 0.5}, "undecided"),  # not disjoint: nothing is shown
        ({"population_kl": 1.0}, "undecided"),  # the population's aggregate is not the prior
    ],
)
def test_disjointness_can_fail(monkeypatch, changes, decision):
    exact = _linear_gaussian.Trial(total_variation=1.0, population_kl=0.0, rate=40.0, samples=0.0, fault=1.0)
    jitter = np.random.default_rng(0).normal(1, 1e-3, size=h4_disjointness.REPETITIONS)
    monkeypatch.setattr(_linear_gaussian, "trial", lambda seed, **_: exact._replace(fault=jitter[seed], **changes))
    assert BY_ID["H4"].examine(Results(())).verdict.decision == decision
