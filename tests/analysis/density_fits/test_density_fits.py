"""Laws over all density fits on codes of a known mixture, and the exact oracle of each."""

import math
import subprocess
import sys

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal
from torch.utils.flop_counter import FlopCounterMode

from analysis.aggregate import DiagonalAggregate, GeneralAggregate, InMemoryCodes
from analysis.density_fits import Codes, DensityFit, DensityRefused, FittedDensity
from analysis.density_fits._autoregressive import inverse
from analysis.density_fits._spline import Spline
from analysis.density_fits.aggregate_kernel import AggregateKernel, bandwidth_scores
from analysis.density_fits.flow import FlowFit, import_zuko
from analysis.density_fits.gaussian_mixture import GaussianMixtureFit
from analysis.density_fits.second_stage import SecondStageFit
from analysis.divergence import certified_gap
from models.linear import LinearGaussianVAE
from study.design.families import DENSITIES

FAST = {
    "bandwidths": (1.0, 1.5, 2.0),
    "num_components": (1, 2, 4),
    "num_transforms": 2,
    "latent_dim": 2,
    "hidden_width": 32,
    "num_importance": 32,
    "learning_rate": 1e-2,
    "batch_size": 250,
    "max_epochs": 60,
    "patience": 15,
}
"""Options that a fit may have, so that it costs little and is still good on two thousand codes of a plane."""
SHORT = {"learning_rate": 5e-3, "batch_size": 128, "max_epochs": 12, "patience": 4}


def fast(name: str, **changes: object) -> DensityFit:
    """The fit ``name`` with those of FAST, and of ``changes``, that are among its options."""
    options = DENSITIES.options(name)
    return DENSITIES[name](**{option: value for option, value in (FAST | changes).items() if option in options})


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def truth() -> MixtureSameFamily:
    """Two components of a plane, of different scales."""
    loc = torch.tensor([[-2.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    scale = torch.tensor([[0.7, 1.0], [1.0, 0.5]], dtype=torch.float64)
    weights = torch.tensor([0.4, 0.6], dtype=torch.float64)
    return MixtureSameFamily(Categorical(weights), Independent(Normal(loc, scale), 1))


def codes(num: int, seed: int) -> Codes:
    """Codes whose draws z follow ``truth``: loc from the mixture less a posterior variance of 0.2 in each dimension."""
    generator = seeded(seed)
    base = truth()
    component = torch.multinomial(base.mixture_distribution.probs, num, replacement=True, generator=generator)
    parts = base.component_distribution.base_dist
    spread = (parts.scale[component].square() - 0.2).sqrt()
    noise = torch.randn(num, 2, generator=generator, dtype=torch.float64)
    loc = parts.loc[component] + spread * noise
    return Codes.draw(DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, math.sqrt(0.2)))), generator)


def non_gaussianity() -> float:
    """KL(truth ‖ G) of the normal G with the moments of the truth, by the rectangle rule."""
    axis = torch.arange(-9, 9, 0.1, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = truth().log_prob(grid).exp() * 0.01
    mean = mass @ grid
    gaussian = MultivariateNormal(mean, (grid - mean).T @ (mass[:, None] * (grid - mean)))
    return float(mass @ (truth().log_prob(grid) - gaussian.log_prob(grid)))


@pytest.fixture(scope="module")
def held_out() -> Codes:
    return codes(2000, 2)


@pytest.fixture(scope="module", params=list(DENSITIES))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def fitted(name, held_out) -> FittedDensity:
    with torch.no_grad():  # as measurement fits them
        return fast(name).fit(codes(2000, 1), held_out, seeded(3))


def test_every_fit_names_its_paper(name):
    assert DENSITIES.signature(name).reference
    assert isinstance(fast(name), DensityFit)


NEAREST = dict.fromkeys(("aggregate_kernel", "flow", "gaussian_mixture", "second_stage"), 0.0)
NEAREST["moment_normal"] = non_gaussianity()
"""KL(truth ‖ r) in nats of the nearest density of a kind, where it is known."""


def test_score_comes_near_minus_the_entropy_and_never_above(name, fitted, held_out):
    # Paired with the true density on the same images: KL(q ‖ r) = E[log q − log r] must be positive within 4 standard
    # errors (about 0.02 nats here), and below 0.1 nats, which a wrong constant (log 2π, log N, log scale) exceeds. Of a
    # kind whose nearest density is not known here, it is below 0.1 nats more than the best normal's.
    z = held_out.z[fitted.held_out_images]
    excess = truth().log_prob(z) - fitted.log_held_out
    error = float(excess.std()) / math.sqrt(len(z))
    least, most = (NEAREST[name],) * 2 if name in NEAREST else (0.0, non_gaussianity())
    assert least - 4 * error < float(excess.mean()) < most + 0.1 + 4 * error
    score = fitted.held_out_score
    assert score.n == score.num_draws == len(z) == 1000
    assert score.value == pytest.approx(float(fitted.log_prob(z).mean()), abs=1e-9)


def test_density_normalises_and_agrees_with_its_samples(fitted):
    # Rectangle rule of a smooth density on a grid of step 0.1: exact to far below 1e-3. Moments of 20,000 draws against
    # the grid's: 5 standard errors detect 0.05 in a mean. A bound on log r integrates to less than one.
    axis = torch.arange(-9, 9, 0.1, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = fitted.log_prob(grid).exp() * 0.01
    if fitted.density.bound == "lower":
        assert 0.9 < float(mass.sum()) < 1.005
    else:
        assert float(mass.sum()) == pytest.approx(1, abs=1e-3)
    draws = fitted.sample(20_000, seeded(4))
    mass = mass / mass.sum()
    slack = 0.02 if fitted.density.bound == "lower" else 0.0
    for function in (lambda z: z, torch.square, lambda z: z.prod(-1, keepdim=True), torch.tanh):
        values = function(draws)
        error = values.std(0) / math.sqrt(len(values))
        assert bool(((values.mean(0) - mass @ function(grid)).abs() < 5 * error + slack).all())


def test_shapes_and_dtypes_are_those_of_the_codes(fitted):
    assert fitted.sample(7, seeded(0)).shape == (7, 2)
    assert fitted.log_prob(fitted.sample(7, seeded(0))).dtype == torch.float64
    assert torch.equal(fitted.sample(7, seeded(0)), fitted.sample(7, seeded(0)))
    with pytest.raises(ValueError, match=r"z must be \(M, 2\) in torch.float64"):
        fitted.log_prob(torch.zeros(3, 2))


def test_seeds_reproduce_and_the_process_generator_is_left_alone(name):
    training, others = codes(300, 5), codes(40, 6)
    state = torch.get_rng_state()
    first, second = (fast(name).fit(training, others, seeded(7)) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.log_held_out, second.log_held_out)
    kernel = fast("aggregate_kernel").fit(training, others, seeded(7))
    assert torch.equal(first.held_out_images, kernel.held_out_images)


def test_latents_of_any_shape(name):
    def spatial(num: int, seed: int) -> Codes:
        loc = torch.randn(num, 3, 2, generator=seeded(seed), dtype=torch.float64)
        return Codes.draw(DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc))), seeded(seed + 1))

    others = spatial(40, 6)
    fitted = fast(name, max_epochs=1).fit(spatial(200, 8), others, seeded(7))
    assert fitted.sample(5, seeded(0)).shape == (5, 3, 2)
    assert fitted.log_prob(others.z).shape == (40,)


def test_kernel_of_bandwidth_one_is_the_aggregate(held_out):
    training = codes(500, 1)
    fitted = AggregateKernel(bandwidths=(1.0,)).fit(training, held_out, seeded(0))
    aggregate = DiagonalAggregate(InMemoryCodes(training.loc, training.scale))
    torch.testing.assert_close(fitted.log_prob(held_out.z), aggregate.log_prob(held_out.z), rtol=0, atol=1e-12)
    assert fitted.held_out_score.flags == ()


def test_kernel_widens_where_bubbles_are_few_and_says_when_it_would_go_on(held_out):
    fitted = AggregateKernel(bandwidths=(1.0, 1.5)).fit(codes(20, 1), held_out, seeded(0))
    assert fitted.choices == {"bandwidth": 1.5}
    assert fitted.held_out_score.flags == ("bandwidth = 1.5 is the largest tried",)


def test_size_is_chosen_and_scored_on_different_images(held_out):
    seen: list[Codes] = []

    class Spy(AggregateKernel):
        def fit_vectors(self, codes, choice, generator):
            seen.append(choice)
            return super().fit_vectors(codes, choice, generator)

    fitted = Spy().fit(codes(50, 1), held_out, seeded(0))
    reported = held_out.z[fitted.held_out_images]
    assert len(seen[0]) + len(reported) == len(held_out)
    assert not set(seen[0].z[:, 0].tolist()) & set(reported[:, 0].tolist())


def test_mixture_finds_the_number_of_components(held_out):
    fitted = fast("gaussian_mixture").fit(codes(2000, 1), held_out, seeded(3))
    assert fitted.choices["num_components"] >= 2
    with pytest.raises(DensityRefused, match="codes are"):
        GaussianMixtureFit(covariance="full", num_components=(5,)).fit(codes(20, 1), held_out, seeded(0))


@pytest.mark.parametrize("name", ["aggregate_kernel", "gaussian_mixture"])
def test_certified_gap_stays_below_the_exact_divergence(name):
    # Data shifted and widened from the model's own, so that KL(q_∞ ‖ p) is known. 4 standard errors of the estimate,
    # about 0.1 nats here; the fit must reach two thirds of the exact value.
    vae = LinearGaussianVAE.random(2, 6, gain=2.0, noise=1.0, generator=torch.Generator().manual_seed(0))
    shift = vae.weight.detach().sum(1)
    exact = vae.exact(shift, 2.0 * vae.marginal().covariance_matrix.detach())
    root = torch.linalg.cholesky(2.0 * vae.marginal().covariance_matrix.detach())

    def encoded(num: int, seed: int) -> Codes:
        noise = torch.randn(num, 6, generator=seeded(seed), dtype=torch.float64)
        posterior = vae.posterior(vae.bias.detach() + shift + noise @ root.T).base_dist
        return Codes.draw(DiagonalAggregate(InMemoryCodes(posterior.loc, posterior.scale)), seeded(seed + 100))

    held_out = encoded(4000, 2)
    fitted = fast(name).fit(encoded(2000, 1), held_out, seeded(3))
    z = held_out.z[fitted.held_out_images]
    gap = certified_gap(fitted.log_held_out, vae.prior().log_prob(z).detach())
    assert 2 / 3 * float(exact.marginal_kl) < gap.value < float(exact.marginal_kl) + 4 * gap.standard_error


def test_second_stage_bounds_its_own_density():
    # One latent, so that r(z) = ∫ N(u) N(z; g(u), γ²) du is a sum on a grid, exact to 1e-6. The bound lies below it
    # within 5 standard errors, and its ancestral draws have the density's mean and variance.
    base = truth()
    fit = SecondStageFit(latent_dim=1, hidden_width=16, num_importance=16, **SHORT)
    fitted = fit.fit(codes(1000, 1), codes(1000, 2), seeded(3))
    density = fitted.density
    u = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        centres = density.standardisation.restore(density.networks.decoder(u))
        scale = density.networks.log_gamma.exp() * density.standardisation.scale
    log_weights = Normal(0, 1).log_prob(u).squeeze(1) + math.log(16 / 4000)
    z = codes(500, 4).z
    log_r = (log_weights[:, None] + Normal(centres[:, None], scale).log_prob(z).sum(-1)).logsumexp(0)
    slack = log_r - fitted.log_prob(z)
    error = float(slack.std()) / math.sqrt(len(z))
    assert -5 * error < float(slack.mean()) < 0.2
    draws = fitted.sample(20_000, seeded(5))
    mean = log_weights.exp() @ centres
    variance = log_weights.exp() @ centres.square() - mean.square() + scale.square()
    assert bool(((draws.mean(0) - mean).abs() < 5 * (variance / 20_000).sqrt()).all())
    torch.testing.assert_close(draws.var(0), variance, rtol=0.06, atol=0)
    assert fitted.held_out_score.bound == "lower"
    assert fitted.held_out_score.value < float(base.log_prob(z).mean()) + 0.3


def test_affine_flow_of_a_gaussian_and_refusals():
    fitted = FlowFit(kind="affine", num_transforms=1, hidden_width=16, **SHORT).fit(
        codes(500, 1), codes(100, 2), seeded(0)
    )
    z = fitted.sample(50, seeded(1))
    assert bool(fitted.log_prob(z).isfinite().all())
    wide = Codes(*torch.ones(3, 10, 300).unbind())
    with pytest.raises(DensityRefused, match="D ≤ 256"):
        FlowFit().fit(wide, wide, seeded(0))


def test_constant_dimensions_and_mismatched_codes_are_refused():
    still = Codes(*torch.ones(3, 10, 2, dtype=torch.float64).unbind())
    with pytest.raises(DensityRefused, match="constant"):
        SecondStageFit().fit(still, still, seeded(0))
    with pytest.raises(ValueError, match="share one shape"):
        Codes(torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="at least 4 images"):
        AggregateKernel().fit(codes(10, 1), codes(3, 1), seeded(0))


def trained_looking_flow(kind: str, dim: int) -> torch.nn.Module:
    """A flow whose weights are half as large again as those that it starts from: no map is near the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(dim)
        flow = FlowFit(kind=kind, hidden_width=24)._build(dim).double().requires_grad_(False)
    for parameter in flow.parameters():
        parameter.mul_(1.5)
    return flow


@pytest.mark.parametrize("kind", ["affine", "spline"])
@pytest.mark.parametrize("dim", [1, 2, 7])
def test_draws_of_a_flow_invert_it_in_one_pass_through_its_networks(kind, dim):
    flow = trained_looking_flow(kind, dim)
    noise = 2 * torch.randn(60, dim, generator=seeded(0), dtype=torch.float64)
    with FlopCounterMode(display=False) as of_inverse:
        y = inverse(flow, noise)
    torch.testing.assert_close(y, flow.transform().inv(noise), rtol=1e-9, atol=1e-9)
    with FlopCounterMode(display=False) as of_density:
        again = flow.transform()(y)
    torch.testing.assert_close(again, noise, rtol=1e-9, atol=1e-9)
    assert of_inverse.get_total_flops() <= of_density.get_total_flops()


@pytest.mark.parametrize("shape", [(40, 3), (7,)])
def test_splines_are_those_of_zuko(shape):
    generator = seeded(0)
    free = [3 * torch.randn(*shape, size, generator=generator, dtype=torch.float64) for size in (5, 5, 4)]
    x = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    results = []
    for kind in (Spline, import_zuko().transforms.MonotonicRQSTransform):
        parts = [part.clone().requires_grad_() for part in (*free, x)]
        spline = kind(*parts[:3])
        y, log_slope = spline.call_and_ladj(parts[3])
        (y.sin() + log_slope.cos()).sum().backward()
        results.append((y, log_slope, spline.inv(x), *(part.grad for part in parts)))
    assert bool((x.abs() > 5).any()), "the identity beyond the bounds is tried, too"
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["import pyro; import_zuko()", "import_zuko(); import pyro"])
def test_importing_zuko_leaves_validation_on(order):
    code = (
        "from analysis.density_fits.flow import import_zuko\n"
        "from torch.distributions import Distribution\n"
        "import sys; assert 'zuko' not in sys.modules\n"
        f"{order}\n"
        "assert 'zuko' in sys.modules and Distribution._validate_args is True"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_moment_normal_with_fewer_codes_than_dimensions_has_their_moments():
    """With N < D the covariance is kept as diagonal plus factor; draws and density are those of the full one."""
    loc = torch.randn(30, 40, generator=seeded(1), dtype=torch.float64)
    few = Codes.draw(DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, 0.5))), seeded(2))
    fitted = DENSITIES["moment_normal"]().fit(few, few, seeded(3))
    centred = loc - loc.mean(0)
    covariance = centred.T @ centred / 30 + 0.25 * torch.eye(40, dtype=torch.float64)
    exact = MultivariateNormal(loc.mean(0), covariance)
    assert torch.allclose(fitted.log_prob(few.z), exact.log_prob(few.z), rtol=1e-9)
    draws = fitted.sample(20_000, seeded(4))
    # Twenty thousand draws know each entry of the covariance to 0.01; six of those.
    assert float((draws.T.cov() - covariance).abs().max()) < 0.07


def test_options_out_of_their_range_are_refused_by_name(name):
    """Zero is outside the range of every option that counts, scales or steps."""
    for option in DENSITIES.options(name).values():
        if isinstance(option.default, str):
            wrong: object = "unheard-of"
        else:
            wrong = (0,) if isinstance(option.default, tuple) else 0
        with pytest.raises(ValueError, match=rf"^density\.{option.name}(\.0)?: input should be .*; got"):
            DENSITIES[name](**{option.name: wrong})
        DENSITIES[name](**{option.name: option.default})


def test_the_rank_of_a_low_rank_mixture_is_at_most_what_the_dimension_allows():
    few = codes(200, 3)
    fit = DENSITIES["gaussian_mixture"](covariance="low_rank", num_components=(1,)).fit(few, few, seeded(3))
    assert math.isfinite(fit.held_out_score.value)


def test_a_bandwidth_is_chosen_on_a_stated_number_of_codes_where_all_would_take_long(monkeypatch):
    training, others = codes(50, 2), codes(40, 3)
    whole = AggregateKernel().fit(training, others, seeded(0))
    assert not any("chosen on" in flag for flag in whole.held_out_score.flags)
    monkeypatch.setattr("analysis.density_fits.aggregate_kernel.MOST_LOGS", 50 * 7 + 3)
    few = AggregateKernel().fit(training, others, seeded(0))
    assert "bandwidth chosen on 7 of 20 codes" in few.held_out_score.flags
    assert few.held_out_score.n == whole.held_out_score.n == 20


def test_bandwidths_are_scored_by_the_densities_that_they_give(monkeypatch):
    training, points = codes(50, 1), codes(9, 2).z
    for at_once in (1, 2**24):
        monkeypatch.setattr("analysis.density_fits.aggregate_kernel.LOGS_AT_ONCE", at_once)
        for bandwidth, score in bandwidth_scores(training, points, (0.5, 2.0)).items():
            widened = DiagonalAggregate(InMemoryCodes(training.loc, bandwidth * training.scale))
            assert score - float(widened.log_prob(points).mean()) == pytest.approx(math.log(50), abs=1e-10)


def correlated(dim=4, num=300, correlation=0.98):
    """An aggregate of posteriors with a covariance, whose variances are those of N(0, I)."""
    covariance = torch.full((dim, dim), correlation).fill_diagonal_(1.0)
    loc = torch.randn(num, dim, generator=torch.Generator().manual_seed(0)) * 0.01
    root = torch.linalg.cholesky(covariance)
    law = lambda rows: MultivariateNormal(loc[rows], scale_tril=root.expand(len(rows), dim, dim))  # noqa: E731
    return GeneralAggregate(law, num, torch.device("cpu")), covariance.double() + loc.double().T.cov(correction=0)


def test_moments_are_those_of_the_whole_posteriors_and_not_of_their_variances_alone():
    """What second moments certify lies in the correlations here: by the variances alone nothing would be."""
    aggregate, covariance = correlated()
    codes, held_out = (Codes.draw(aggregate, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    fit = DENSITIES["moment_normal"]().fit(codes, held_out, torch.Generator().manual_seed(3))
    (part,) = (fit.density.normal,)
    torch.testing.assert_close(part.covariance_matrix, covariance, rtol=1e-6, atol=1e-6)
    standard = Independent(Normal(torch.zeros(4), torch.ones(4)), 1)
    certified = certified_gap(fit.log_held_out, standard.log_prob(held_out.z[fit.held_out_images]))
    exact = -float(torch.logdet(covariance)) / 2
    assert abs(certified.value - exact) < 4 * certified.standard_error + 0.02
    with pytest.raises(DensityRefused, match="diagonal"):
        AggregateKernel().fit(codes, held_out, torch.Generator().manual_seed(3))


def test_posteriors_without_a_covariance_in_closed_form_count_with_their_variances_and_a_flag():
    loc = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))

    class Bare(Independent):
        """Moments are not told."""

        mean = property(lambda self: (_ for _ in ()).throw(NotImplementedError))
        variance = mean

    law = lambda rows: Bare(Normal(loc[rows], torch.ones_like(loc[rows])), 1)  # noqa: E731
    aggregate = GeneralAggregate(law, len(loc), torch.device("cpu"))
    codes, held_out = (Codes.draw(aggregate, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    fit = DENSITIES["moment_normal"]().fit(codes, held_out, torch.Generator().manual_seed(3))
    assert "correlations within posteriors are left out" in fit.held_out_score.flags
