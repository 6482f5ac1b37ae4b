"""Laws of every estimator of measurement, by the file that declares it, on one small untrained model."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from analysis.estimate import Estimate
from study.design.cell import Cell, Evaluate
from study.measurement.classifier import Classifier, Network
from study.measurement.densities import fitted
from study.measurement.estimators import Quantity, Refused, estimator, registered
from study.measurement.estimators._base import NORMALISER_ESTIMATED
from study.measurement.images import ImageData
from study.measurement.replicate import Replicate
from study.measurement.samples import Reference, samples
from study.run.building import new_vae

DIM, SHAPE = 2, (1, 8, 8)
ASKED = {
    "draws": 60, "importance": (1, 2), "samples": 12, "densities": ["moment_normal"],
    "calibration": 30, "calibration_draws": 9, "annealing": 2, "annealing_chains": 2, "annealing_temperatures": 3,
}  # fmt: skip
FILES = sorted({module.__name__.rpartition(".")[2] for module, _ in registered()})


class Estimated(nn.Module):
    """N(0, I) that knows its normaliser to ``error`` nats."""

    support = "real"

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self):
        prior = Independent(Normal(torch.zeros(DIM), torch.ones(DIM)), 1)
        prior.log_prob_standard_error = torch.tensor(self.error)
        return prior


class World:
    """The rows of every table of one replicate."""

    def __init__(self, error=0.0):
        generator = torch.Generator().manual_seed(0)
        images = (torch.rand(96, *SHAPE, generator=generator) > 0.5).float()
        labels = torch.arange(96) % 2
        data = ImageData("noise", images, labels, images[:60], labels[:60], ("even", "odd"), "", "")
        torch.manual_seed(0)
        cell = Cell.from_config({"latent_dim": DIM, "network": {"name": "mlp", "hidden": [8]}, "evaluate": ASKED})
        vae = new_vae(cell, SHAPE).eval()
        vae.prior = Estimated(error)
        self.replicate = Replicate(vae, data, data, cell.evaluate, seed=0)
        network = Network(SHAPE, 2).double().eval()
        classifier = self.replicate.__dict__["classifier"] = Classifier(network, Estimate.mean(torch.arange(60) % 2))
        densities = {density.name: density for density in fitted(self.replicate)}
        sources = samples(Reference(self.replicate, classifier), {name: own.fit for name, own in densities.items()})
        self.rows = {"aggregate": self.replicate.splits, "realism": sources, "densities": densities}

    @torch.no_grad()
    def estimates(self, file):
        """What the estimators of ``file`` give of each row on which they are defined, by declaration."""
        for module, found in registered():
            if module.__name__.endswith(f".{file}"):
                for name, row in self.rows[found.table].items():
                    if not found.rows or name in found.rows:
                        yield found, found.estimates(row)


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def again():
    return World()


@pytest.fixture(scope="module")
def uncertain():
    return World(0.3)


@pytest.mark.parametrize("file", FILES)
def test_gives_what_it_declares_with_its_bound(world, file):
    given = list(world.estimates(file))
    assert given
    for found, estimates in given:
        declared = {quantity.name for quantity in found.quantities}
        assert {found.quantity(name).name for name in estimates} <= declared
        assert {name for name in declared if "<" not in name} <= set(estimates)
        for name, estimate in estimates.items():
            if estimate.is_refused:
                assert len(str(estimate).removeprefix("refused: ")) > 10, name
            else:
                assert math.isfinite(estimate.value), name
                assert estimate.bound == found.quantity(name).bound, name
                assert estimate.n > 0, name


@pytest.mark.parametrize("file", FILES)
def test_says_what_it_estimates(file):
    for module, found in registered():
        if module.__name__.endswith(f".{file}"):
            assert found.quantities
            assert all(quantity.formula for quantity in found.quantities)
            assert (module.__doc__ or "").strip().endswith(".")


@pytest.mark.parametrize("file", FILES)
def test_the_seed_is_the_whole_of_its_randomness(world, again, file):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    other = [estimates for _, estimates in again.estimates(file)]
    assert torch.equal(torch.rand(3), expected)
    for (_, ours), theirs in zip(world.estimates(file), other, strict=True):
        assert {name: str(estimate) for name, estimate in ours.items()} == {n: str(e) for n, e in theirs.items()}


@pytest.mark.parametrize("file", FILES)
def test_the_error_of_an_estimated_normaliser_reaches_expectations_of_log_p_alone(world, uncertain, file):
    for (found, known), (_, estimates) in zip(world.estimates(file), uncertain.estimates(file), strict=True):
        for name, estimate in estimates.items():
            if estimate.is_refused:
                continue
            of_prior = found.quantity(name).of_prior
            assert (NORMALISER_ESTIMATED in estimate.flags) == of_prior or name == "soft_covering", name
            if of_prior and not math.isnan(known[name].standard_error):
                expected = math.hypot(known[name].standard_error, 0.3)
                assert estimate.standard_error == pytest.approx(expected, rel=1e-6), name


def test_an_undeclared_name_is_an_error_and_a_refusal_keeps_its_reason(world):
    row = world.replicate.train
    undeclared = estimator(Quantity("a", "A"))(lambda split: {"b": Estimate.exact(1.0)})
    with pytest.raises(TypeError, match="gave 'b'; declare it"):
        undeclared.estimates(row)

    def refuse(split):
        raise Refused("too little of it", 7)

    refused = estimator(Quantity("a", "A"), Quantity("b_<k>", "B"))(refuse).estimates(row)
    assert {name: (str(found), found.n) for name, found in refused.items()} == {"a": ("refused: too little of it", 7)}
    assert Evaluate().calibration == Evaluate().annealing == 0


def test_of_two_patterns_the_longer_is_a_names_own():
    found = estimator(Quantity("a_<k>", "A"), Quantity("a_b_<k>", "B", "upper"))(lambda split: {})
    assert found.quantity("a_b_2").bound == "upper"
    assert found.quantity("a_2").bound == "unbiased"
