r"""Effects: Bayesian regression of an outcome on log D, rate and prior, with training seeds as replicates.

Row i is one trained replicate. With outcome y, d = log D and rate R all standardised (mean 0, standard deviation 1),

    η_i = α + β_d d_i + β_R R_i + γ_{p(i)} + { δ_{p(i)} d_i  |  δ d_i R_i },     y_i ~ N(η_i, σ²) or t_ν(η_i, σ²)

with γ, and the slopes δ by prior, summing to zero over priors: β_d is then the effect of log D at fixed rate, averaged
over the priors with equal weight (at the mean rate where log D × rate is in the model). Weakly informative priors in
standard deviations of the outcome (Gelman et al. 2008, arXiv:0901.4011): α, β, δ and the contrasts of γ are N(0, s²)
with s = 1 unless given, in an orthonormal basis of the contrasts; σ is half-normal(1); ν − 1 is Gamma(2, 0.1) (after
Juárez & Steel 2010). Drawn by NUTS (Hoffman & Gelman 2014, arXiv:1111.4246) from independent chains, so that r_hat and
effective sample sizes mean what they say.

The replicates of a cell count as independent given η. Where η misses a curvature in D or R they share the error, and
intervals are too narrow: plot the residuals by cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import arviz as az
import numpy as np
import pyro
import pyro.distributions as dist
import torch
import xarray as xr
from pyro import poutine
from pyro.distributions.transforms import AffineTransform, ComposeTransform, ExpTransform, LowerCholeskyAffine
from pyro.infer import MCMC, NUTS
from torch import Tensor
from torch.distributions import Transform

from analysis.divergence import RULE_OF_THREE, SATURATED
from analysis.estimate import Estimate
from analysis.randomness import seeded

Interaction = Literal["none", "prior", "rate"]
Noise = Literal["normal", "student_t"]


@dataclass(frozen=True, slots=True)
class Replicates:
    """Trained replicates, S in all. Every column must vary.

    outcome: what is regressed, ``(S,)``, in a unit of its own.
    log_dim: log of the latent dimension, ``(S,)``.
    rate: R in nats, ``(S,)``.
    prior: names of the replicates' priors, S of them; with one prior there is no effect of prior to estimate, and none
        is reported.

    Raises:
        ValueError: if a column is constant, not finite or of another length.
    """

    outcome: Tensor
    log_dim: Tensor
    rate: Tensor
    prior: Sequence[str]

    def __post_init__(self) -> None:
        for name in ("outcome", "log_dim", "rate"):
            column = getattr(self, name)
            if column.shape != (len(self.prior),) or not bool(column.isfinite().all()) or float(column.std()) == 0.0:
                raise ValueError(
                    f"{name} must be finite, vary, and have one entry per replicate ({len(self.prior)}); got shape "
                    f"{tuple(column.shape)}: drop refused replicates and predictors that the study holds fixed"
                )

    @property
    def priors(self) -> list[str]:
        """Distinct priors, in alphabetical order."""
        return sorted(set(self.prior))


@dataclass(frozen=True, slots=True)
class _Term:
    """Part of the design whose coefficients are drawn.

    columns: ``(S, k)``.
    basis: ``(levels, k)``, maps the coefficients to one per prior.
    """

    columns: Tensor
    basis: Tensor | None = None


def fit_effects(
    replicates: Replicates,
    generator: torch.Generator,
    *,
    interaction: Interaction = "none",
    noise: Noise = "student_t",
    prior_scale: float = 1.0,
    num_chains: int = 4,
    num_draws: int = 300,
    num_warmup: int = 150,
) -> xr.DataTree:
    """Posterior of the regression as an ArviZ tree.

    Args:
        replicates: outcome and predictors.
        generator: the whole of the randomness.
        interaction: slope of log D by ``prior``, log D × ``rate``, or ``none``.
        noise: of the outcome, ``normal`` or ``student_t``.
        prior_scale: s, in standard deviations of the outcome.
        num_chains: independent chains.
        num_draws: draws kept of each chain.
        num_warmup: draws before them, in which the step size adapts.

    Returns:
        Groups ``posterior`` (intercept, log_dim, rate, prior_effect by prior, log_dim_by_prior by prior or
        log_dim_by_rate, noise_scale, degrees_of_freedom; dims chain, draw), ``sample_stats`` (diverging),
        ``observed_data`` and ``constant_data`` (as given, dim replicate). Coefficients are in standard deviations of
        the outcome per standard deviation of the predictors; times their attribute ``per_unit`` they are in units of
        the outcome per unit of the predictors.

    Raises:
        ValueError: if an interaction with the prior is asked of a single prior.
    """
    log_dim, rate, outcome = (_standardised(x) for x in (replicates.log_dim, replicates.rate, replicates.outcome))
    terms = _terms(replicates, log_dim, rate, interaction)
    design = torch.cat([term.columns for term in terms.values()], dim=1)
    model = partial(_model, design, outcome, noise, prior_scale)
    whitening = _whitening(design, outcome, prior_scale)
    chains = [_chain(model, whitening, generator, num_draws, num_warmup) for _ in range(num_chains)]

    posterior = {name: np.stack([draws[name] for draws, _ in chains]) for name in chains[0][0]}
    ends = np.cumsum([term.columns.shape[1] for term in terms.values()])[:-1]
    by_term = np.split(posterior.pop("coefficients"), ends, -1)
    for (name, term), coefficients in zip(terms.items(), by_term, strict=True):
        posterior[name] = coefficients[..., 0] if term.basis is None else coefficients @ term.basis.numpy().T
    by_prior = {name: ["prior"] for name, term in terms.items() if term.basis is not None}
    predictors = {
        "replicate_log_dim": replicates.log_dim.cpu().numpy(),
        "replicate_rate": replicates.rate.cpu().numpy(),
        "replicate_prior": np.array(replicates.prior),
    }
    tree = az.from_dict(
        {
            "posterior": posterior,
            "sample_stats": {"diverging": np.stack([diverging for _, diverging in chains])},
            "observed_data": {"outcome": replicates.outcome.cpu().numpy()},
            "constant_data": predictors,
        },
        coords={"prior": replicates.priors, "replicate": np.arange(len(replicates.prior))},
        dims=by_prior | {name: ["replicate"] for name in ("outcome", *predictors)},
        attrs={
            "/": {
                "interaction": interaction,
                "noise": noise,
                "prior_scale": prior_scale,
                "num_warmup": num_warmup,
                "chain": "independent NUTS chain",
                "outcome_mean": float(replicates.outcome.double().mean()),
            }
        },
    )
    for name, per_unit in _per_unit(replicates, [*terms, "noise_scale"]).items():
        tree["posterior"][name].attrs["per_unit"] = per_unit
    return tree


def probability_of(event: xr.DataArray) -> Estimate:
    """Posterior probability of ``event``, booleans over (chain, draw), with its Monte Carlo standard error.

    ``probability_of(abs(tree["posterior"]["log_dim"]) > delta)`` is that of an effect of log D, at fixed rate, larger
    than ``delta``. n is the effective sample size. Within 3/n of 0 or 1 the value is flagged ``saturated``.
    """
    indicator = event.transpose("chain", "draw").to_numpy().astype(float)
    value, num_draws = float(indicator.mean()), indicator.size
    if value in {0.0, 1.0}:
        return Estimate(value, 0.0, num_draws, num_draws, "consistent", (SATURATED,))
    n = max(int(az.ess(indicator, method="mean")), 1)
    error = math.sqrt(value * (1 - value) / n)
    flags = (SATURATED,) if min(value, 1 - value) < RULE_OF_THREE / n else ()
    return Estimate(value, error, n, num_draws, "consistent", flags)


def _standardised(column: Tensor) -> Tensor:
    values = column.detach().cpu().double()
    return (values - values.mean()) / values.std()


def _terms(replicates: Replicates, log_dim: Tensor, rate: Tensor, interaction: Interaction) -> dict[str, _Term]:
    priors = replicates.priors
    membership = torch.tensor([[float(p == q) for q in priors] for p in replicates.prior], dtype=torch.float64)
    terms = {
        "intercept": _Term(torch.ones(len(log_dim), 1, dtype=torch.float64)),
        "log_dim": _Term(log_dim[:, None]),
        "rate": _Term(rate[:, None]),
    }
    if len(priors) > 1:
        contrasts = _zero_sum_basis(len(priors))
        terms["prior_effect"] = _Term(membership @ contrasts, contrasts)
        if interaction == "prior":
            terms["log_dim_by_prior"] = _Term(membership @ contrasts * log_dim[:, None], contrasts)
    elif interaction == "prior":
        raise ValueError(f"interaction with the prior needs replicates of at least two; got only {priors[0]!r}")
    if interaction == "rate":
        terms["log_dim_by_rate"] = _Term((log_dim * rate)[:, None])
    return terms


def _zero_sum_basis(levels: int) -> Tensor:
    """Orthonormal basis [levels, levels − 1] of the vectors that sum to zero."""
    centred = torch.eye(levels, dtype=torch.float64) - 1 / levels
    return torch.linalg.qr(centred[:, :-1]).Q


def _model(design: Tensor, outcome: Tensor, noise: Noise, prior_scale: float) -> None:
    # One site for all coefficients: the cost of a gradient is that of handling sites.
    zeros = design.new_zeros(design.shape[1])
    location = design @ pyro.sample("coefficients", dist.Normal(zeros, prior_scale).to_event(1))
    scale = pyro.sample("noise_scale", dist.HalfNormal(torch.ones_like(outcome[0])))
    if noise == "student_t":
        excess = pyro.sample("excess", dist.Gamma(torch.full_like(scale, 2.0), 0.1))
        likelihood: dist.TorchDistribution = dist.StudentT(1 + excess, location, scale)
    else:
        likelihood = dist.Normal(location, scale)
    pyro.sample("outcome", likelihood.to_event(1), obs=outcome)


def _whitening(design: Tensor, outcome: Tensor, prior_scale: float) -> dict[str, Transform]:
    """By site, the map to it from coordinates in which the posterior is close to N(0, I).

    Coefficients have their normal posterior at the least-squares noise scale, and log σ a standard deviation of about
    1/√(2S). NUTS then needs few steps and no adapted mass matrix, however collinear log D and rate are.
    """
    identity = torch.eye(design.shape[1], dtype=design.dtype)
    residual = outcome - design @ torch.linalg.lstsq(design, outcome[:, None]).solution.squeeze(1)
    variance = residual.square().mean().clamp(min=torch.finfo(design.dtype).eps)
    covariance = torch.linalg.inv(design.T @ design / variance + identity / prior_scale**2)
    return {
        "coefficients": LowerCholeskyAffine(
            covariance @ design.T @ outcome / variance, torch.linalg.cholesky(covariance)
        ),
        "noise_scale": ComposeTransform(
            [AffineTransform(0.5 * variance.log(), 1 / math.sqrt(2 * len(outcome))), ExpTransform()]
        ),
        "excess": ExpTransform(),
    }


def _chain(
    model: Callable[[], None],
    whitening: dict[str, Transform],
    generator: torch.Generator,
    num_draws: int,
    num_warmup: int,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draws by name of one chain, and which of them diverged."""
    with seeded(generator, "cpu"), pyro.validation_enabled(False):
        sites: dict[str, Any] = dict(poutine.trace(model).get_trace().iter_stochastic_nodes())
        start = {name: 4 * torch.rand(node["fn"].shape(), dtype=torch.float64) - 2 for name, node in sites.items()}
        kernel = NUTS(model, transforms={name: whitening[name].inv for name in start}, adapt_mass_matrix=False)
        mcmc = MCMC(kernel, num_draws, warmup_steps=num_warmup, initial_params=start, disable_progbar=True)
        mcmc.run()
    draws = {name: value.numpy() for name, value in mcmc.get_samples().items()}
    if "excess" in draws:
        draws["degrees_of_freedom"] = 1 + draws.pop("excess")
    diverging = np.zeros(num_draws, dtype=bool)
    diverging[mcmc.diagnostics()["divergences"]["chain 0"]] = True
    return draws, diverging


def _per_unit(replicates: Replicates, names: Sequence[str]) -> dict[str, float]:
    """Factor from standard deviations to units, by coefficient."""
    outcome, log_dim, rate = (
        float(column.double().std()) for column in (replicates.outcome, replicates.log_dim, replicates.rate)
    )
    divisors = {"log_dim": log_dim, "rate": rate, "log_dim_by_prior": log_dim, "log_dim_by_rate": log_dim * rate}
    return {name: outcome / divisors.get(name, 1.0) for name in names}
