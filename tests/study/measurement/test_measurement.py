"""Measurement of a replicate, against exact answers where the replicate has some."""

import gc
import math
import weakref
from dataclasses import fields

import pytest
import torch
from torch import nn

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.draws import evaluate_component_draws, evaluate_held_out_draws, evaluate_prior_draws
from models.vae import VAE
from study.design.cell import Cell, Evaluate
from study.design.parts import resolve
from study.errors import ConfigurationError
from study.measurement import encoding
from study.measurement.encoding import encode
from study.measurement.estimators import families
from study.measurement.images import ImageData
from study.measurement.measure import measure as measure_data
from study.measurement.replicate import Replicate
from study.measurement.sources import registered as sources
from study.run.building import new_objective, new_vae
from study.run.checking import check_all

EVALUATE = Evaluate(draws=600, components=(1, 2), covariances=("diagonal",), densities=(), importance=(), samples=0)
IMAGES = (torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()


def measure(vae: VAE, train: torch.Tensor, held_out: torch.Tensor, evaluate: Evaluate, *, seed: int):
    """Measures images without classes."""
    labels = torch.zeros(len(train), dtype=torch.int64), torch.zeros(len(held_out), dtype=torch.int64)
    data = ImageData("test", train, labels[0], held_out, labels[1], ("one",), "", "")
    return measure_data(vae, data, data, evaluate, seed=seed)


def draws_of(result) -> dict[str, torch.Tensor]:
    """Integrands of the draws of training images, by name."""
    variables = result.records["posterior"].variables
    return {name: values[:, 0] for name, (dims, values) in variables.items() if "split" in dims}


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return new_vae(Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [16]}}), (1, 8, 8))


def collapse(vae: VAE) -> None:
    """Makes q(z|x) = N(0, I) for every image."""
    with torch.no_grad():
        for parameter in vae.posterior.parameters():
            parameter.zero_()
    vae.posterior.min_scale = 0.0


def test_collapsed_posterior_has_neither_information_nor_mismatch(vae):
    collapse(vae)
    result = measure(vae, IMAGES.repeat(8, 1, 1, 1), IMAGES, EVALUATE, seed=0)
    for split in ("train", "held_out"):
        for name in ("rate", "information", "information_upper", "kl", "kl_lower", "kl_reverse", "total_variation"):
            assert abs(result.tables["aggregate"][split][name].value) < 1e-6, name
        assert result.tables["aggregate"][split]["active_units"].value == 0
    assert abs(result.tables["aggregate"]["held_out"]["kl_certified_aggregate"].value) < 1e-6


def test_separated_posteriors_have_log_n_of_information(vae):
    """Ten images that the encoder holds far apart: I = log 10, saturated, and KL = R − log 10 draw by draw."""
    collapse(vae)
    with torch.no_grad():
        head = [module for module in vae.posterior.encoder if isinstance(module, nn.Linear)]
        head[0].weight.copy_(torch.randn(head[0].weight.shape, generator=torch.Generator().manual_seed(1)))
        head[1].weight[:3].copy_(100 * torch.randn(3, 16, generator=torch.Generator().manual_seed(2)))
    result = measure(vae, IMAGES, IMAGES, EVALUATE, seed=0)
    information = result.tables["aggregate"]["train"]["information"]
    assert information.value == pytest.approx(math.log(10), abs=1e-6)
    assert "saturated" in information.flags
    assert "saturated" in result.tables["aggregate"]["train"]["kl_upper"].flags
    draws = draws_of(result)
    assert torch.allclose(draws["rate"], draws["information"] + draws["kl"], rtol=1e-12)


def test_rate_and_distortion_are_those_of_the_objective(vae):
    result = measure(vae, IMAGES, IMAGES, EVALUATE.model_copy(update={"draws": 20_000}), seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        terms = new_objective(Cell())(vae.model, vae.guide, IMAGES.repeat(2_000, 1, 1, 1))
    for name, values in (("rate", terms.rate), ("distortion", terms.distortion)):
        spread = float(draws_of(result)[name].std()) / math.sqrt(20_000)
        # Detects a bias of six Monte Carlo errors, about 0.02 nats.
        assert abs(float(draws_of(result)[name].mean()) - float(values.mean())) < 6 * 1.5 * spread, name
    elbo = result.tables["aggregate"]["train"]["elbo"]
    assert elbo.value == pytest.approx(-float(terms.loss), abs=0.1)
    assert elbo.bound == "lower"


def test_draws_are_spread_evenly_over_images_and_repeat_with_the_seed(vae):
    first = measure(vae, IMAGES, IMAGES, EVALUATE, seed=3)
    again = measure(vae, IMAGES, IMAGES, EVALUATE, seed=3)
    other = measure(vae, IMAGES, IMAGES, EVALUATE, seed=4)
    assert torch.bincount(first.records["constant_data"].variables["image"][1][:, 0]).tolist() == [60] * 10
    assert torch.equal(draws_of(first)["kl"], draws_of(again)["kl"])
    assert not torch.equal(draws_of(first)["kl"], draws_of(other)["kl"])


def test_random_state_of_the_caller_is_left_alone(vae):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    measure(vae, IMAGES, IMAGES, EVALUATE, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_certified_mismatch_is_below_the_marginal_kl(vae):
    """E[log r − log p] with r the training aggregate is a lower bound of the divergence that q_N bounds from above."""
    train, held_out = IMAGES.repeat(8, 1, 1, 1), IMAGES
    estimates = measure(vae, train, held_out, EVALUATE, seed=0).tables["aggregate"]
    lower, upper = estimates["held_out"]["kl_certified_aggregate"], estimates["held_out"]["kl"]
    assert lower.value <= upper.value + 3 * (lower.standard_error + upper.standard_error)


def test_codes_are_encoded_in_order_and_any_latent_shape():
    torch.manual_seed(0)
    spatial = new_vae(Cell.from_config({"latent_dim": "2x4x4", "network": {"name": "mlp", "hidden": [16]}}), (1, 8, 8))
    loc, scale = encode(spatial, IMAGES)
    assert loc.shape == scale.shape == (10, 2, 4, 4)
    assert torch.allclose(loc[3:4], spatial.posterior(IMAGES[3:4]).base_dist.loc, atol=1e-6)
    result = measure(spatial, IMAGES, IMAGES, EVALUATE, seed=0)
    assert DiagonalAggregate(InMemoryCodes(loc, scale)).latent_dim == 32
    assert result.tables["aggregate"]["train"]["rate"].value > 0


@pytest.mark.parametrize(
    ("posterior", "prior"),
    [
        ("full_normal", "standard_normal"),
        ("low_rank_normal", "vamp"),
        ("normal_mixture", "gaussian_mixture"),
        ("spline_flow", "standard_normal"),
        ("von_mises_fisher", "hypersphere"),
    ],
)
def test_every_kind_of_posterior_is_analysed_exactly(posterior, prior):
    """I ≤ log N, R = I + KL draw by draw, and what needs diagonal bubbles is refused with that reason."""
    torch.manual_seed(0)
    cell = Cell.from_config(
        {"latent_dim": 3, "network": {"name": "mlp", "hidden": [16]}, "posterior": posterior, "prior": prior}
    )
    result = measure(new_vae(cell, (1, 8, 8), IMAGES).eval(), IMAGES.repeat(3, 1, 1, 1), IMAGES, EVALUATE, seed=0)
    train = result.tables["aggregate"]["train"]
    draws = draws_of(result)
    assert torch.allclose(draws["rate"], draws["information"] + draws["kl"], atol=1e-9)
    assert -0.05 < train["information"].value < math.log(10) + 1e-9
    assert "diagonal normal" in str(train["bubble_bhattacharyya"])
    assert "codes" not in result.records
    assert torch.isfinite(result.records["shells"].variables["aggregate_norm"][1]).all()


def test_codes_that_cannot_be_held_are_streamed_with_the_same_answers(vae, monkeypatch):
    held = measure(vae, IMAGES.repeat(8, 1, 1, 1), IMAGES, EVALUATE, seed=0)
    monkeypatch.setattr(encoding, "IN_MEMORY_ELEMENTS", 120)
    streamed = measure(vae, IMAGES.repeat(8, 1, 1, 1), IMAGES, EVALUATE, seed=0)
    for name in ("rate", "information", "kl", "kl_reverse", "total_variation"):
        ours, theirs = streamed.tables["aggregate"]["train"][name], held.tables["aggregate"]["train"][name]
        # The choice of codes to hold takes random numbers, so draws differ: five of their errors.
        assert abs(ours.value - theirs.value) < 5 * math.hypot(ours.standard_error, theirs.standard_error), name
        assert ours.n == theirs.n
    assert streamed.tables["aggregate"]["train"]["active_units"].n == 10
    assert held.tables["aggregate"]["train"]["active_units"].n == 80


def test_records_hold_what_the_figures_draw(vae):
    evaluate = EVALUATE.model_copy(update={"padding": (16, 64)})
    records = measure(vae, IMAGES.repeat(8, 1, 1, 1), IMAGES, evaluate, seed=0).records
    padding = records["padding"]
    assert padding.coords["padded_dim"] == [3, 16, 64]
    for name in ("kl", "information", "total_variation"):
        values = padding.variables[name][1]
        assert torch.allclose(values, values[:1].expand(3), rtol=1e-9), name
    codes = {name: values for name, (_, values) in records["codes"].variables.items()}
    loc, scale = encode(vae, IMAGES.repeat(8, 1, 1, 1))
    normal = torch.distributions.Normal(loc.double(), scale.double())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(codes["kl_standard"], expected, rtol=1e-5)
    assert (records["spectrum"].variables["eigenvalue"][1].diff() <= 0).all()
    sizes = records["subsampling"].variables["num_images"][1]
    assert sizes[0].tolist()[-1] == 80
    assert (sizes.diff(dim=1) > 0).all()


def test_what_is_omitted_is_not_measured_and_changes_nothing_else(vae):
    images = IMAGES.repeat(8, 1, 1, 1)
    whole = measure(vae, images, IMAGES, EVALUATE, seed=0)
    omit = ("growth", "spectrum", "codes", "mixtures")
    part = measure(vae, images, IMAGES, EVALUATE.model_copy(update={"omit": omit}), seed=0)
    assert whole.mixtures
    assert not part.mixtures
    absent = whole.tables["aggregate"]["train"].keys() - part.tables["aggregate"]["train"].keys()
    assert {"kl_slope_log_n", "largest_eigenvalue", "active_units"} <= absent
    assert whole.records.keys() - part.records.keys() == {"spectrum", "subsampling"}
    for name, estimate in part.tables["aggregate"]["train"].items():
        expected = whole.tables["aggregate"]["train"][name]
        assert estimate == expected or (estimate.is_refused and expected.is_refused), name


def test_records_go_with_the_family_that_is_omitted(vae):
    """They are the larger part of what it costs, and of what is stored."""
    asked = EVALUATE.model_copy(update={"importance": (1, 10), "calibration": 20})
    families_of = {"importance_bounds": "likelihood", "calibration": "calibration", "spectrum": "spectrum"}
    whole = measure(vae, IMAGES.repeat(8, 1, 1, 1), IMAGES, asked, seed=0).records.keys()
    assert families_of.keys() <= whole
    for group, family in families_of.items():
        omitting = asked.model_copy(update={"omit": (family,)})
        assert measure(vae, IMAGES.repeat(8, 1, 1, 1), IMAGES, omitting, seed=0).records.keys() == whole - {group}


def test_one_pass_over_the_codes_of_a_split_serves_all_draws(vae, monkeypatch):
    images = IMAGES.repeat(8, 1, 1, 1)
    labels = torch.zeros(len(images), dtype=torch.int64), torch.zeros(len(IMAGES), dtype=torch.int64)
    data = ImageData("test", images, labels[0], IMAGES, labels[1], ("one",), "", "")
    passes, log_sums = [], DiagonalAggregate._log_sums

    def counted(aggregate, points, exclude):
        passes.append(aggregate.num_components)
        return log_sums(aggregate, points, exclude)

    with monkeypatch.context() as patch:
        patch.setattr(DiagonalAggregate, "_log_sums", counted)
        measure(vae, images, IMAGES, EVALUATE.model_copy(update={"omit": ("bubbles", "growth")}), seed=0)
    assert passes == [len(images), len(IMAGES)]

    replicate = Replicate(vae, data, data, EVALUATE, seed=0)
    train, held_out, prior = replicate.train, replicate.held_out, replicate.prior
    alone = (
        evaluate_component_draws(train.aggregate, prior, train.z, train.component),
        evaluate_prior_draws(train.aggregate, prior, replicate.prior_z),
        evaluate_held_out_draws(train.aggregate, held_out.aggregate, prior, held_out.z, held_out.component),
    )
    for together, separate in zip((train.draws, train.from_prior, replicate.unseen), alone, strict=True):
        for field in fields(separate):
            found, expected = getattr(together, field.name), getattr(separate, field.name)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # a component may be in float32


@pytest.mark.parametrize("samples", [0, 12])
def test_nothing_of_a_measured_replicate_waits_for_the_collector(vae, monkeypatch, samples):
    """Codes, covariances and draws of a replicate are gigabytes, and the next replicate needs them."""
    held = []
    aggregate_of = encoding.aggregate_of
    monkeypatch.setattr(
        "study.measurement.replicate.aggregate_of",
        lambda *arguments: (found := aggregate_of(*arguments), held.append(weakref.ref(found)))[0],
    )
    train, labels = IMAGES.repeat(8, 1, 1, 1), torch.arange(80) % 2
    data = ImageData("test", train, labels, IMAGES, labels[:10], ("one", "two"), "", "")
    few = EVALUATE.model_copy(update={"draws": 60, "samples": samples})
    gc.collect()
    gc.disable()
    try:
        measure_data(vae, data, data, few, seed=0)
        assert held
        assert [each for each in held if each() is not None] == []
    finally:
        gc.enable()


@pytest.mark.slow
def test_no_estimate_depends_on_how_the_images_are_sorted(vae):
    """Images sorted by class, as data sets come, and the same in random order: estimates of some are ones of all."""
    images = torch.cat([IMAGES.repeat(20, 1, 1, 1) * level for level in (0.0, 1.0)])
    mixed = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(3))]
    some = {"draws": 200, "importance": (1, 5), "importance_images": 150, "refinement": 60}
    evaluate = EVALUATE.model_copy(update=some)
    of_sorted, of_mixed = (measure(vae, each, each, evaluate, seed=0).tables["aggregate"] for each in (images, mixed))
    for split, estimates in of_sorted.items():
        for name, one in estimates.items():
            other = of_mixed[split][name]
            assert one.is_refused == other.is_refused, name
            if not one.is_refused:
                error = math.hypot(one.standard_error, other.standard_error)
                assert abs(one.value - other.value) <= 4 * error + 1e-5 * (1 + abs(one.value)), (
                    split,
                    name,
                    one,
                    other,
                )


@pytest.mark.parametrize("num", [7, 300, 800, 5_000])
def test_a_choice_of_images_is_one_of_all_of_them_and_grows(vae, num):
    images = torch.cat([IMAGES.repeat(40, 1, 1, 1) * level for level in (0.0, 1.0)])
    labels = torch.arange(2).repeat_interleave(400)
    data = ImageData("sorted", images, labels, images[:10], labels[:10], ("dark", "light"), "", "")
    split = Replicate(vae, data, data, EVALUATE, seed=0).train
    rows = split.chosen(num)
    assert len(rows.unique()) == min(num, 800)
    assert torch.equal(split.chosen(num // 2), rows[: num // 2])
    share = float(labels[rows].double().mean())
    assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(num)
    codes = split.codes_of(num)
    assert len(codes.loc) == len(codes.z) == min(num, 800)
    if num < 800:
        assert torch.equal(codes.loc, split.codes.loc[rows])


def test_estimators_and_sources_have_names_of_their_own():
    assert not families() & sources().keys()


def test_an_estimator_that_there_is_not_cannot_be_omitted():
    cell = Cell.from_config({"latent_dim": 2, "evaluate": {"omit": ["growht"]}})
    with pytest.raises(ConfigurationError, match="growth"):
        check_all([cell])


def test_an_estimated_normaliser_adds_its_error_to_what_uses_the_density(vae):
    class Estimated(nn.Module):
        """N(0, I) that claims to know its normaliser to 0.3 nats."""

        support = "real"

        def forward(self):
            prior = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(3), torch.ones(3)), 1)
            prior.log_prob_standard_error = torch.tensor(0.3)
            return prior

    known = measure(vae, IMAGES, IMAGES, EVALUATE, seed=0).tables["aggregate"]["train"]
    vae.prior = Estimated()
    estimated = measure(vae, IMAGES, IMAGES, EVALUATE, seed=0).tables["aggregate"]["train"]
    for name in ("rate", "kl", "elbo", "kl_reverse"):
        assert estimated[name].standard_error == pytest.approx(math.hypot(known[name].standard_error, 0.3), rel=1e-3)
        assert "normaliser of the prior estimated" in estimated[name].flags
    assert estimated["information"].standard_error == pytest.approx(known["information"].standard_error)


def test_reconstruction_error_is_that_of_the_decoded_means(vae):
    estimate = measure(vae, IMAGES, IMAGES, EVALUATE, seed=0).tables["aggregate"]["held_out"]["reconstruction_error"]
    with torch.no_grad():
        decoded = vae.likelihood(encode(vae, IMAGES)[0]).mean
    assert estimate.value == pytest.approx(float((decoded - IMAGES).square().mean()), rel=1e-5)
    assert estimate.n == 10


def test_what_is_per_volume_or_of_norms_has_no_meaning_on_a_sphere():
    cell = Cell.from_config(
        {
            "latent_dim": 3,
            "network": {"name": "mlp", "hidden": [16]},
            "posterior": "von_mises_fisher",
            "prior": "hypersphere",
        }
    )
    torch.manual_seed(0)
    evaluate = EVALUATE.model_copy(update={"densities": (resolve("density", "moment_normal"),)})
    tables = measure(new_vae(cell, (1, 8, 8)), IMAGES.repeat(8, 1, 1, 1), IMAGES, evaluate, seed=0).tables
    on_sphere = {
        "aggregate": ("norm_auc", "norm_ks", "squared_norm_ks", "norm_sd"),
        "densities": ("certified_gap", "held_out_score"),
    }
    for table, quantities in on_sphere.items():
        for row in tables[table].values():
            assert all("real space" in row[quantity].flags[0] for quantity in quantities)
    assert not tables["aggregate"]["train"]["kl"].is_refused
