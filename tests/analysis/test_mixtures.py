"""Gaussian mixtures: exact oracles in float64, scikit-learn on the same path, and laws over all four kinds."""

import math
import resource
import warnings
from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Reference
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from analysis.mixtures import (
    COVARIANCES,
    GaussianMixture,
    MixtureRefused,
    expectation_maximisation,
    fit_gaussian_mixture,
    select_gaussian_mixture,
)
from analysis.mixtures.codes import CentredCodes
from analysis.mixtures.covariances.diagonal import Diagonal
from analysis.mixtures.covariances.full import Full
from analysis.mixtures.covariances.low_rank import LowRank
from analysis.mixtures.covariances.tied import Tied

KINDS = tuple(COVARIANCES)
EXPONENTIAL = {"diagonal": "diag", "full": "full", "tied": "tied"}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_mixture(kind: str, num_components: int, dim: int, seed: int) -> GaussianMixture:
    generator = seeded(seed)
    means = 3 * randn(num_components, dim, generator=generator) + 1
    match kind:
        case "diagonal":
            components = Diagonal(means, 0.2 + randn(num_components, dim, generator=generator).square())
        case "full":
            components = Full(means, random_covariances(num_components, dim, generator))
        case "tied":
            components = Tied(means, random_covariances(1, dim, generator)[0])
        case _:
            loadings = randn(num_components, dim, rank(kind, dim), generator=generator)
            components = LowRank(means, loadings, 0.2 + randn(num_components, dim, generator=generator).square())
    weights = torch.rand(num_components, generator=generator, dtype=torch.float64) + 0.3
    return GaussianMixture(weights / weights.sum(), components)


def random_covariances(num: int, dim: int, generator: torch.Generator) -> torch.Tensor:
    identity = torch.eye(dim, dtype=torch.float64)
    root = 0.4 * randn(num, dim, dim, generator=generator) + identity
    return root @ root.mT + 0.1 * identity


def rank(kind: str, dim: int) -> int | None:
    return min(2, dim - 1) if kind == "low_rank" else None


def covariances(mixture: GaussianMixture) -> torch.Tensor:
    match mixture.components:
        case Diagonal() as components:
            return components.variances.diag_embed()
        case Full() as components:
            return components.covariances
        case Tied() as components:
            return components.shared.expand(mixture.num_components, -1, -1)
        case LowRank() as components:
            return components.loadings @ components.loadings.mT + components.noise.diag_embed()
    raise AssertionError


def dense(mixture: GaussianMixture) -> MixtureSameFamily:
    return MixtureSameFamily(
        Categorical(mixture.weights), MultivariateNormal(mixture.means, covariance_matrix=covariances(mixture))
    )


def problem(seed: int, num: int = 1500, dim: int = 4, num_components: int = 3) -> torch.Tensor:
    return random_mixture("full", num_components, dim, seed).sample(num, seeded(seed + 1000))


# Densities against independent oracles


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [2, 7])
def test_log_prob_equals_the_dense_mixture(kind: str, dim: int) -> None:
    mixture = random_mixture(kind, 3, dim, seed=dim)
    codes = 4 * randn(300, dim, generator=seeded(1))
    torch.testing.assert_close(mixture.log_prob(codes), dense(mixture).log_prob(codes), rtol=1e-10, atol=1e-10)
    assert mixture.log_prob(codes.float()).dtype == torch.float64


def test_log_prob_of_long_sums_and_many_blocks_equals_the_dense_mixture() -> None:
    mixture = random_mixture("low_rank", 2, 1100, seed=0)
    codes = mixture.sample(600, seeded(2))
    torch.testing.assert_close(mixture.log_prob(codes), dense(mixture).log_prob(codes), rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize(("kind", "dim"), [(k, d) for k in KINDS for d in (1, 2) if (k, d) != ("low_rank", 1)])
def test_density_integrates_to_one(kind: str, dim: int) -> None:
    mixture = random_mixture(kind, 2, dim, seed=3)
    axis = torch.arange(-30, 30, 0.05, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    # the trapezoid rule on a smooth density that vanishes at both ends converges faster than any power
    assert float(mixture.log_prob(grid).exp().sum() * 0.05**dim) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_moments_and_the_entropy_of_the_density(kind: str) -> None:
    mixture = random_mixture(kind, 3, 2, seed=4)
    num = 40_000
    draws = mixture.sample(num, seeded(5))
    mean = mixture.weights @ mixture.means
    second = torch.einsum("k,kij->ij", mixture.weights, covariances(mixture)) + mixture.means.T @ (
        mixture.weights[:, None] * mixture.means
    )
    products = draws[:, :, None] * draws[:, None, :]
    # detects errors of five standard errors: at 40,000 draws 2.5 % of a standard deviation in each moment
    assert ((draws.mean(0) - mean).abs() < 5 * draws.std(0) / math.sqrt(num)).all()
    assert ((products.mean(0) - second).abs() < 5 * products.std(0) / math.sqrt(num)).all()
    axis = torch.arange(-30, 30, 0.1, dtype=torch.float64)
    log_prob = mixture.log_prob(torch.cartesian_prod(axis, axis))
    negentropy = float((log_prob.exp() * log_prob).nan_to_num().sum() * 0.01)
    sampled = mixture.log_prob(draws)
    assert abs(float(sampled.mean()) - negentropy) < 5 * float(sampled.std()) / math.sqrt(num)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_components_and_the_device_call_change_nothing(kind: str) -> None:
    mixture = random_mixture(kind, 3, 4, seed=6)
    order = torch.tensor([2, 0, 1])
    parameters = {
        name: value if value.shape[0] != 3 else value[order] for name, value in vars(mixture.components).items()
    }
    permuted = GaussianMixture(mixture.weights[order], type(mixture.components)(**parameters)).to("cpu")
    codes = randn(50, 4, generator=seeded(7))
    torch.testing.assert_close(permuted.log_prob(codes), mixture.log_prob(codes), rtol=1e-12, atol=1e-12)


def test_parameters_of_factor_analysis_are_the_rank_of_its_covariance_map() -> None:
    for dim, factors in ((5, 2), (6, 1), (6, 3), (3, 2), (4, 3)):
        loadings, noise = randn(dim, factors, generator=seeded(8)), torch.ones(dim, dtype=torch.float64)
        jacobians = torch.autograd.functional.jacobian(lambda a, b: a @ a.T + b.diag(), (loadings, noise))
        jacobian = torch.cat([j.reshape(dim * dim, -1) for j in jacobians], dim=1)
        assert LowRank.count_parameters(1, dim, factors) == dim + int(torch.linalg.matrix_rank(jacobian))


# EM against scikit-learn and closed forms


@pytest.mark.parametrize("kind", EXPONENTIAL)
@pytest.mark.parametrize("iterations", [1, 7])
def test_same_start_same_path_as_scikit_learn(kind: str, iterations: int) -> None:
    codes = problem(seed=10, dim=5)
    drawn = random_mixture(kind, 3, 5, seed=11)
    start = replace(drawn, components=replace(drawn.components, means=codes[:3]))
    ours = expectation_maximisation(
        CentredCodes(codes), start, max_iterations=iterations, tolerance=-1, regularisation=0
    )
    precisions = covariances(start).inverse()
    shaped = {"diagonal": precisions.diagonal(dim1=1, dim2=2), "full": precisions, "tied": precisions[0]}[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = Reference(
            3,
            covariance_type=EXPONENTIAL[kind],
            weights_init=start.weights.numpy(),
            means_init=start.means.numpy(),
            precisions_init=shaped.numpy(),
            max_iter=iterations,
            tol=0,
            reg_covar=0,
        ).fit(codes.numpy())
    expected = {"diagonal": torch.diag_embed, "full": lambda c: c, "tied": lambda c: c.expand(3, -1, -1)}[kind]
    assert ours.num_iterations == theirs.n_iter_ == iterations
    torch.testing.assert_close(ours.weights, torch.from_numpy(theirs.weights_), rtol=0, atol=1e-8)
    torch.testing.assert_close(ours.means, torch.from_numpy(theirs.means_), rtol=0, atol=1e-8)
    torch.testing.assert_close(covariances(ours), expected(torch.from_numpy(theirs.covariances_)), rtol=0, atol=1e-8)
    torch.testing.assert_close(
        ours.log_prob(codes), torch.from_numpy(theirs.score_samples(codes.numpy())), rtol=0, atol=1e-8
    )
    assert ours.bic(codes) == pytest.approx(theirs.bic(codes.numpy()), abs=1e-6)
    assert ours.num_parameters == theirs._n_parameters()


@pytest.mark.parametrize("kind", EXPONENTIAL)
@pytest.mark.parametrize("pseudo_codes", [0.0, 30.0])
def test_one_component_is_the_closed_form(kind: str, pseudo_codes: float) -> None:
    codes = problem(seed=12)
    fit = fit_gaussian_mixture(codes, 1, kind, generator=seeded(0), num_starts=1, regularisation=pseudo_codes)
    covariance = codes.T.cov(correction=0)
    diagonal = covariance.diag().diag()
    likelihood = diagonal if kind == "diagonal" else covariance
    expected = (len(codes) * likelihood + pseudo_codes * diagonal) / (len(codes) + pseudo_codes)
    torch.testing.assert_close(fit.means[0], codes.mean(0), rtol=0, atol=1e-10)
    torch.testing.assert_close(covariances(fit)[0], expected, rtol=0, atol=1e-10)
    assert fit.converged


def test_one_factor_analyser_reaches_the_likelihood_of_scikit_learn() -> None:
    truth = LowRank(
        torch.zeros(1, 8, dtype=torch.float64),
        randn(1, 8, 2, generator=seeded(13)),
        0.5 + torch.rand(1, 8, generator=seeded(14), dtype=torch.float64),
    )
    codes = GaussianMixture(torch.ones(1, dtype=torch.float64), truth).sample(2000, seeded(15))
    options = {"rank": 2, "generator": seeded(16), "regularisation": 0, "tolerance": 1e-9, "max_iterations": 2000}
    fit = fit_gaussian_mixture(codes, 1, "low_rank", num_starts=1, **options)
    theirs = FactorAnalysis(2, tol=1e-10, max_iter=5000, svd_method="lapack").fit(codes.numpy())
    assert float(fit.log_prob(codes).mean()) == pytest.approx(theirs.score(codes.numpy()), abs=1e-6)
    torch.testing.assert_close(covariances(fit)[0], torch.from_numpy(theirs.get_covariance()), rtol=0, atol=1e-3)


def test_a_just_identified_factor_analyser_is_the_full_gaussian() -> None:
    loadings = torch.tensor([[[1.0], [-0.8], [1.2]]], dtype=torch.float64)
    truth = LowRank(torch.ones(1, 3, dtype=torch.float64), loadings, torch.full((1, 3), 0.5, dtype=torch.float64))
    codes = GaussianMixture(torch.ones(1, dtype=torch.float64), truth).sample(3000, seeded(17))
    options = {"generator": seeded(18), "num_starts": 1, "regularisation": 0, "tolerance": 1e-13}
    fit = fit_gaussian_mixture(codes, 1, "low_rank", rank=1, max_iterations=3000, **options)
    torch.testing.assert_close(covariances(fit)[0], codes.T.cov(correction=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_mixture_is_recovered(kind: str) -> None:
    drawn = random_mixture(kind, 3, 4, seed=23)
    apart = replace(drawn.components, means=12 * torch.eye(3, 4, dtype=torch.float64))
    truth = GaussianMixture(drawn.weights, apart)
    num = 20_000
    codes = truth.sample(num, seeded(24))
    fit = fit_gaussian_mixture(codes, 3, kind, generator=seeded(25), rank=rank(kind, 4), tolerance=1e-6)
    order = torch.cdist(truth.means, fit.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    # detects five standard errors: 5 √(π(1 − π)/N) ≤ 0.018 in a weight, 5 σ/√N_k ≤ 0.08 σ in a mean
    errors = (covariances(truth).diagonal(dim1=1, dim2=2) / (num * truth.weights[:, None])).sqrt()
    assert ((fit.means[order] - truth.means).abs() < 5 * errors).all()
    assert ((fit.weights[order] - truth.weights).abs() < 5 * (truth.weights / num).sqrt()).all()
    # Wilks: 2 (ln r̂ − ln r) is about χ² with p degrees of freedom, mean p and sd √(2p)
    gained = 2 * float((fit.log_prob(codes) - truth.log_prob(codes)).sum())
    assert 0 < gained < fit.num_parameters + 5 * math.sqrt(2 * fit.num_parameters)


# EM's laws


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pseudo_codes", [1e-3, 50.0])
def test_the_penalised_likelihood_rises_and_is_the_objective_stated(kind: str, pseudo_codes: float) -> None:
    for seed in range(6):
        dim = 3 + seed
        codes = problem(seed, num=700, dim=dim, num_components=2 + seed % 3)
        start = random_mixture(kind, 4, dim, seed=seed + 50)
        fit = expectation_maximisation(
            CentredCodes(codes), start, max_iterations=40, tolerance=-math.inf, regularisation=pseudo_codes
        )
        assert min(later - earlier for earlier, later in zip(fit.trace, fit.trace[1:], strict=False)) > -1e-11
        assert fit.trace[-1] > fit.trace[0]
        variance = codes.var(0, correction=0).diag()
        penalised = covariances(fit)
        if kind == "tied":
            penalised = penalised[:1]
        if kind == "low_rank":
            penalised = fit.components.noise.diag_embed()
        traces = (variance @ penalised.inverse()).diagonal(dim1=1, dim2=2).sum()
        penalty = -0.5 * pseudo_codes * float(penalised.logdet().sum() + traces)
        expected = float(dense(fit).log_prob(codes).mean()) + penalty / len(codes)
        assert fit.trace[-1] == pytest.approx(expected, abs=1e-9)


def test_a_fall_of_the_likelihood_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Diagonal.maximise

    def spoiled(self: Diagonal, *arguments: object) -> Diagonal:
        better = genuine(self, *arguments)
        return Diagonal(better.means, better.variances * 3)

    monkeypatch.setattr(Diagonal, "maximise", spoiled)
    with pytest.raises(ArithmeticError, match="lowered the penalised log-likelihood"):
        fit_gaussian_mixture(problem(seed=1), 2, generator=seeded(0), tolerance=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_codes_changes_nothing(kind: str) -> None:
    codes, start = problem(seed=30, dim=3), random_mixture(kind, 3, 3, seed=31)
    shuffled = codes[torch.randperm(len(codes), generator=seeded(32))]
    one, other = (
        expectation_maximisation(CentredCodes(z), start, max_iterations=20, tolerance=-1) for z in (codes, shuffled)
    )
    torch.testing.assert_close(one.log_prob(codes), other.log_prob(codes), rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_shifting_and_scaling_dimensions_moves_the_whole_fit_along(kind: str) -> None:
    codes = problem(seed=33)
    scale, offset = torch.tensor([4.0, 0.25, 64.0, 1.0]).double(), torch.tensor([100.0, -3.0, 0.0, 7.0]).double()
    fits = [
        fit_gaussian_mixture(z, 3, kind, generator=seeded(34), rank=rank(kind, 4))
        for z in (codes, codes * scale + offset)
    ]
    moved = fits[1].log_prob(codes * scale + offset) + scale.log().sum()
    torch.testing.assert_close(fits[0].log_prob(codes), moved, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_the_fit(kind: str) -> None:
    codes = problem(seed=35)
    options = {"rank": rank(kind, 4), "num_starts": 1, "max_iterations": 1}
    first, again, other = (
        fit_gaussian_mixture(codes, 5, kind, generator=seeded(seed), **options).log_prob(codes) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_the_best_start_is_kept() -> None:
    codes = problem(seed=36, num_components=6)
    generator = seeded(37)
    singles = [fit_gaussian_mixture(codes, 6, "diagonal", generator=generator, num_starts=1) for _ in range(4)]
    best = fit_gaussian_mixture(codes, 6, "diagonal", generator=seeded(37), num_starts=4)
    assert len({round(single.trace[-1], 6) for single in singles}) > 1
    assert best.trace[-1] == max(single.trace[-1] for single in singles)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_codes_give_the_same_fit_to_float32_rounding(kind: str) -> None:
    codes = problem(seed=38)
    start = random_mixture(kind, 3, 4, seed=39)
    single, double = (
        expectation_maximisation(CentredCodes(z), start, max_iterations=10, tolerance=-1)
        for z in (codes.float(), codes)
    )
    torch.testing.assert_close(single.log_prob(codes), double.log_prob(codes), rtol=0, atol=1e-3)
    assert single.trace == pytest.approx(double.trace, abs=1e-5)


def test_an_empty_component_stays_empty() -> None:
    codes, start = problem(seed=40), random_mixture("diagonal", 3, 4, seed=41)
    start = GaussianMixture(torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64), start.components)
    fit = expectation_maximisation(CentredCodes(codes), start)
    assert int((fit.weights * fit.num_codes < 1).sum()) == 1
    assert float(fit.weights[2]) == 0
    assert fit.log_prob(codes).isfinite().all()
    with pytest.raises(MixtureRefused, match="singular"):
        expectation_maximisation(CentredCodes(codes), start, regularisation=0)


def test_convergence_is_reported() -> None:
    codes = problem(seed=42)
    short = fit_gaussian_mixture(codes, 3, generator=seeded(0), max_iterations=2, tolerance=1e-12)
    long = fit_gaussian_mixture(codes, 3, generator=seeded(0), max_iterations=3000, tolerance=1e-9)
    assert (short.converged, short.num_iterations) == (False, 2)
    assert long.converged
    assert long.trace[-1] - long.trace[-2] < 1e-9


# High dimension


def test_long_float32_sums_keep_the_likelihood() -> None:
    mixture = random_mixture("low_rank", 2, 20_000, seed=43)
    codes = mixture.sample(100, seeded(44))
    single, double = (
        expectation_maximisation(CentredCodes(z), mixture, max_iterations=1, tolerance=-1e9)
        for z in (codes.float(), codes)
    )
    assert single.trace == pytest.approx(double.trace, abs=0.02)  # of −39,000 nats; a plain float32 sum errs by more


@pytest.mark.slow
def test_factor_analysers_fit_65536_dimensions_without_a_square_matrix() -> None:
    dim, num = 65_536, 200
    generator = seeded(45)
    loadings = torch.randn(dim, 2, generator=generator)
    codes = torch.randn(num, 2, generator=generator) @ loadings.T + torch.randn(num, dim, generator=generator)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit = fit_gaussian_mixture(codes, 1, "low_rank", generator=generator, num_starts=1, rank=2)
    log_prob = fit.log_prob(codes)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 1.5 * 2**30  # a D × D matrix is 32 GiB
    assert fit.converged
    # two factors of unit loadings carry two thirds of each variance: about ½ ln 3 = 0.55 nats per dimension less fits
    diagonal = fit_gaussian_mixture(codes, 1, "diagonal", generator=generator, num_starts=1).log_prob(codes)
    assert float((log_prob - diagonal).mean()) > 0.3 * dim
    torch.testing.assert_close(fit.components.noise.mean(), torch.tensor(1.0).double(), rtol=0, atol=0.05)


# Refusals


def test_full_covariances_need_ten_codes_per_parameter() -> None:
    codes = randn(300, 5, generator=seeded(46))  # K = 1: 5 means and 15 covariances
    fit_gaussian_mixture(codes[:200], 1, "full", generator=seeded(0))
    with pytest.raises(MixtureRefused, match="jointly estimated parameter"):
        fit_gaussian_mixture(codes[:199], 1, "full", generator=seeded(0))
    with pytest.raises(MixtureRefused, match="jointly estimated parameter"):
        fit_gaussian_mixture(codes, 2, "full", generator=seeded(0))


def test_separable_covariances_are_judged_per_dimension() -> None:
    codes = randn(1437, 128, generator=seeded(47))
    fit_gaussian_mixture(codes, 10, "diagonal", generator=seeded(0), num_starts=1, max_iterations=2)
    with pytest.raises(MixtureRefused):
        fit_gaussian_mixture(codes, 72, "diagonal", generator=seeded(0))
    with pytest.raises(MixtureRefused):
        fit_gaussian_mixture(codes, 1, "full", generator=seeded(0))
    with pytest.raises(MixtureRefused):
        fit_gaussian_mixture(codes, 1, "tied", generator=seeded(0))
    with pytest.raises(MixtureRefused):
        fit_gaussian_mixture(codes, 10, "low_rank", rank=13, generator=seeded(0))


def test_a_component_on_one_repeated_code_is_refused_without_a_prior() -> None:
    codes = torch.cat([randn(300, 2, generator=seeded(48)), torch.full((100, 2), 30.0, dtype=torch.float64)])
    with pytest.raises(MixtureRefused, match="singular"):
        fit_gaussian_mixture(codes, 2, "full", generator=seeded(0), regularisation=0)
    assert fit_gaussian_mixture(codes, 2, "full", generator=seeded(0)).log_prob(codes).isfinite().all()


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (torch.zeros(100, 3), {}, "3 of 3 dimensions are constant"),
        (torch.full((100, 3), math.nan), {}, "finite"),
        (torch.zeros(100, 3, 2), {}, "flatten"),
        (torch.zeros(100, 3, dtype=torch.half), {}, "float32 or float64"),
        (torch.randn(100, 3), {"covariance": "spherical"}, "diagonal, full, tied, low_rank"),
        (torch.randn(100, 3), {"covariance": "low_rank"}, "rank from 1 to 2"),
        (torch.randn(100, 3), {"covariance": "low_rank", "rank": 3}, "rank from 1 to 2"),
        (torch.randn(100, 3), {"rank": 1}, "expected no rank"),
        (torch.randn(100, 3), {"num_components": 0}, "at least one component"),
    ],
)
def test_errors_say_what_to_do(codes: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_gaussian_mixture(codes, **({"num_components": 1, "generator": seeded(0)} | options))


def test_log_prob_of_codes_of_another_dimension_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        random_mixture("diagonal", 2, 4, seed=0).log_prob(torch.zeros(3, 5))


# Choice


def test_selection_finds_the_planted_mixture_and_records_refusals() -> None:
    truth = random_mixture("full", 3, 3, seed=49)
    codes, held_out = truth.sample(3000, seeded(50)), truth.sample(2000, seeded(51))
    chosen = select_gaussian_mixture(
        codes, held_out, (1, 3, 40), ("diagonal", "full"), generator=seeded(52), num_starts=4
    )
    table = {(c.num_components, c.covariance): c for c in chosen.candidates}
    assert len(table) == 6
    best = min(chosen.accepted, key=lambda candidate: candidate.bic)
    assert (best.num_components, best.covariance) == (3, "full")
    assert chosen.best_by_held_out.held_out.value >= table[3, "full"].held_out.value
    refused = table[40, "full"]
    assert "jointly estimated" in refused.refused
    assert refused.mixture is None
    assert math.isnan(refused.bic)
    best = table[3, "full"]
    assert best.refused is None
    assert best.bic == pytest.approx(best.mixture.bic(codes))
    scores = best.mixture.log_prob(held_out)
    assert best.held_out.value == pytest.approx(float(scores.mean()))
    assert best.held_out.standard_error == pytest.approx(float(scores.std()) / math.sqrt(2000))
    assert "in sample" in best.train.flags
    # the truth's own score: no fit beats it by more than chance, five paired standard errors
    gap = scores - truth.log_prob(held_out)
    assert float(gap.mean()) < 5 * float(gap.std()) / math.sqrt(2000)


def test_selection_counts_images_where_they_have_several_codes() -> None:
    codes = problem(seed=53)
    groups = torch.arange(len(codes)) // 5
    options = {"num_components": (1,), "covariance": ("diagonal",)}
    held_out = codes.repeat_interleave(5, 0)[: len(codes)]
    grouped = select_gaussian_mixture(codes, held_out, generator=seeded(0), held_out_groups=groups, **options)
    assert grouped.candidates[0].held_out.n == len(codes) // 5
    assert grouped.candidates[0].held_out.num_draws == len(codes)


def test_digits_prefer_more_than_one_gaussian() -> None:
    pixels = torch.from_numpy(load_digits().data)
    varied = pixels[:, pixels.var(0) > 1]
    codes = varied + torch.rand(varied.shape, generator=seeded(54), dtype=torch.float64)
    chosen = select_gaussian_mixture(
        codes[:1437], codes[1437:], (1, 10), ("diagonal", "low_rank"), rank=3, generator=seeded(55), num_starts=1
    )
    assert chosen.best_by_held_out.num_components == 10
