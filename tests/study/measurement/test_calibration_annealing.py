"""Calibration and annealing as settings of a study, on a linear-Gaussian VAE whose posterior and log p(x) are exact."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from models.linear import LinearGaussianVAE
from study.design.cell import Cell, Evaluate
from study.design.families import PRIORS
from study.design.study import Study
from study.measurement.estimators import estimates
from study.measurement.replicate import Replicate
from study.run.building import new_vae
from study.run.experiment import run_cell

DIM, PIXELS, IMAGES = 3, 6, 40
EVALUATE = Evaluate(draws=200, importance=(), samples=0, densities=())


class Likelihood(nn.Module):
    gives = "density"

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, z):
        base = self.linear.likelihood(z).base_dist
        loc, scale = (
            part.expand(*z.shape[:-1], PIXELS).unflatten(-1, (1, 1, PIXELS)) for part in (base.loc, base.scale)
        )
        return Independent(Normal(loc, scale), 3)


class Prior(nn.Module):
    support = "real"

    def forward(self):
        return Independent(Normal(torch.zeros(DIM).double(), torch.ones(DIM).double()), 1)


class Guide(nn.Module):
    """The exact posterior with its σ multiplied by ``spread`` and its mean moved by ``shift`` σ."""

    def __init__(self, linear, spread, shift):
        super().__init__()
        self.linear, self.spread, self.shift = linear, spread, shift

    def forward(self, images):
        exact = self.linear.posterior(images.flatten(1).double()).base_dist
        return Independent(Normal(exact.loc + self.shift * exact.scale, self.spread * exact.scale), 1)


class Pair(nn.Module):
    def __init__(self, spread=1.0, shift=0.0):
        super().__init__()
        self.linear = LinearGaussianVAE.random(
            DIM, PIXELS, gain=2.0, noise=0.7, generator=torch.Generator().manual_seed(0)
        ).requires_grad_(False)
        self.prior, self.likelihood = Prior(), Likelihood(self.linear)
        self.posterior = Guide(self.linear, spread, shift)

    def images(self, num):
        generator = torch.Generator().manual_seed(1)
        z = torch.randn(num, DIM, generator=generator, dtype=torch.float64)
        noise = torch.randn(num, PIXELS, generator=generator, dtype=torch.float64)
        images = z @ self.linear.weight.T + self.linear.bias + 0.7 * noise
        return images.float().unflatten(1, (1, 1, PIXELS))

    def log_evidence(self, images):
        covariance = self.linear.weight @ self.linear.weight.T + 0.49 * torch.eye(PIXELS, dtype=torch.float64)
        return MultivariateNormal(self.linear.bias, covariance).log_prob(images.flatten(1).double())


def replicate(vae, images, **settings):
    labels = torch.zeros(len(images), dtype=torch.int64)
    # Normal pixels, which no image file has.
    data = SimpleNamespace(images=images, labels=labels, held_out_images=images, held_out_labels=labels)
    return Replicate(vae, data, data, EVALUATE.model_copy(update=settings), seed=0)


def held_out(vae, images, **settings):
    with torch.no_grad():
        return estimates("aggregate", replicate(vae, images, **settings).held_out)


@pytest.mark.parametrize(("spread", "shift", "calibrated"), [(1.0, 0.0, True), (0.5, 0.0, False), (1.0, 0.5, False)])
def test_calibration_tells_the_exact_posterior_from_others(spread, shift, calibrated):
    pair = Pair(spread, shift)
    found = held_out(pair, pair.images(IMAGES), calibration=500, calibration_draws=19)
    p_value, deviation = found["calibration_p_value"], found["calibration_deviation"]
    assert (p_value.value > 0.05) if calibrated else (p_value.value < 1e-6)
    # The deviation of 500 uniform ranks is below 1.63/√500 in 99 % of dimensions.
    assert (deviation.value < 1.63 / math.sqrt(500)) == calibrated
    assert (p_value.n, p_value.num_draws) == (500, 500 * 19)


def test_refinement_tells_the_mean_of_the_guide_from_that_of_the_model():
    """Of images whose codes have no mean to speak of: half a σ too much in each dimension goes."""
    images = Pair().images(IMAGES)
    found = {}
    for shift in (0.0, 0.5):
        pair = Pair(shift=shift)
        with torch.no_grad():
            found[shift] = estimates("aggregate", replicate(pair, images, refinement=IMAGES).train)
    exact, wrong = found[0.0], found[0.5]
    assert exact["amortisation_gap"].value == pytest.approx(0, abs=0.02)
    gap = wrong["amortisation_gap"]
    assert abs(gap.value - DIM * 0.5**2 / 2) < 3 * gap.standard_error
    assert wrong["offset"].value != pytest.approx(exact["offset"].value, abs=0.05)
    assert wrong["offset_refined"].value == pytest.approx(exact["offset"].value, abs=0.02)
    assert wrong["rate_change"].value < -0.01
    few = estimates("aggregate", replicate(Pair(), images[:2], refinement=IMAGES).train)
    assert few["offset"].is_refused
    assert "offset" not in estimates("aggregate", replicate(Pair(), images).train)


def test_annealing_brackets_log_px_from_a_posterior_that_is_wrong():
    pair = Pair(1.5, 1.0)
    images = pair.images(IMAGES)
    exact = float(pair.log_evidence(images).mean())
    bound = held_out(pair, images, annealing=IMAGES, annealing_chains=2, annealing_temperatures=2)["log_px_annealed"]
    found = held_out(pair, images, annealing=IMAGES, annealing_chains=2, annealing_temperatures=100)
    lower, gap = found["log_px_annealed"], found["log_px_annealed_gap"]
    assert lower.bound == "lower"
    # Over the same images the exact mean has no error. A log-weight's variance is about the gap: three of its errors.
    assert 0 < gap.value < 0.3
    noise = 3 * math.sqrt(gap.value / IMAGES)
    assert bound.value + noise < exact
    assert exact - gap.value - noise < lower.value < exact + noise
    assert 0.4 < found["annealing_acceptance"].value < 0.95


def test_neither_is_run_unless_asked_for():
    pair = Pair()
    names = held_out(pair, pair.images(IMAGES))
    assert not [name for name in names if "calibration" in name or "anneal" in name]


@pytest.mark.parametrize("prior", [name for name in PRIORS if name != "hypersphere"])
def test_annealing_follows_every_prior_or_says_why_not(prior):
    torch.manual_seed(0)
    images = torch.rand(30, 1, 8, 8).round()
    cell = Cell.from_config({"latent_dim": 4, "network": {"name": "mlp", "hidden": [8]}, "prior": prior})
    vae = new_vae(cell, (1, 8, 8), images).eval()
    settings = {"draws": 20, "annealing": 2, "annealing_chains": 1, "annealing_temperatures": 2}
    found = held_out(vae, images, **settings)
    for name in ("log_px_annealed", "log_px_annealed_gap"):
        assert math.isfinite(found[name].value) or "no gradient" in str(found[name])


def test_annealing_on_a_sphere_is_refused():
    torch.manual_seed(0)
    images = torch.rand(30, 1, 8, 8).round()
    parts = {"prior": "hypersphere", "posterior": "von_mises_fisher"}
    cell = Cell.from_config({"latent_dim": 4, "network": {"name": "mlp", "hidden": [8]}, **parts})
    found = held_out(new_vae(cell, (1, 8, 8)).eval(), images, draws=20, annealing=2, annealing_temperatures=2)
    assert "real space" in str(found["log_px_annealed"])


@pytest.mark.slow
def test_a_cell_asks_for_both_and_for_every_covariance(tmp_path):
    asked = ["evaluate.calibration=50", "evaluate.calibration_draws=9", "evaluate.annealing=4"]
    asked += ["evaluate.annealing_temperatures=10", "evaluate.covariances=[diagonal,full,tied,low_rank]"]
    study = Study.load("smoke").override(
        ["prior=standard_normal", "latent_dim=3", "seeds=1", *asked, "evaluate.rank=2"]
    )
    reports = []
    tree = run_cell(study.cells()[0], tmp_path, device="cpu", data_root=None, report=reports.append).tree
    values = tree["aggregate"]["value"].sel(split="held_out", chain=0)
    for name in ("calibration_p_value", "calibration_deviation", "log_px_annealed", "log_px_annealed_gap"):
        assert math.isfinite(values.sel(quantity=name).item()), name
    assert list(tree["mixtures"]["covariance"].values) == ["diagonal", "full", "tied", "low_rank"]
    assert math.isfinite(tree["mixtures"]["bic"].sel(covariance="low_rank", components=1).item())
    # Annealing says that it lives at every step: 10 temperatures of 10 leapfrog steps in five runs of chains.
    assert sum(report.phase == "measuring" for report in reports) > 500
