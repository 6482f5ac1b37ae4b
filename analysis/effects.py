r"""Effects: Bayesian regression of an outcome on log D, rate, length of training and prior.

Row i is one trained replicate r(i) of a cell c(i), of data set s(i). With outcome y, log D, x = log(1 + R) of the rate
R in nats and log u of the updates u all standardised (mean 0, standard deviation 1),

    y_i = α + β_D log D_i + β_R x_i + f(x_i) + β_u log u_i + γ_{p(i)} + a_{c(i)} + b_{r(i)} + d_{s(i)} + ε_i + e_i

β_D is the effect of D at fixed rate, averaged over priors with equal weight. f is a cubic smoothing spline without its
straight part, a normal process of the covariance ∫₀¹(x − t)₊(x′ − t)₊ dt (Wahba 1978), so that a bend in the rate does
not pass for an effect of D. Cells, replicates and data sets have normal intercepts a, b and d of mean 0: all that
replicates of one cell have in common besides the predictors is in a, and what they add is seen in the spread within
the cell alone; replicate r has one order of images and one noise in all cells. e is the known error of evaluation.
Contrasts of γ, and of slopes of log D by prior, sum to zero over priors.

Weakly informative priors in standard deviations of the outcome (Gelman et al. 2008, arXiv:0901.4011): α, β, and
contrasts are N(0, c²) with c = 1 unless given, in an orthonormal basis; the scales of f (root mean square over rows),
of the intercepts and of ε are half-normal(½). Noise is normal: with Student's, a cell that alone shows an effect can be
explained as an outlier, and the posterior has two modes between which chains do not pass. Coefficients are integrated
out, see :mod:`analysis.mixed_model`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import arviz as az
import numpy as np
import torch
import xarray as xr
from torch import Tensor

from analysis.calibration import RankUniformity
from analysis.divergence import RULE_OF_THREE, SATURATED
from analysis.estimate import Estimate
from analysis.mixed_model import MixedModel, sample_scales

Interaction = Literal["none", "prior", "rate"]

LEAST_EFFECTIVE_DRAWS = 400.0
LARGEST_R_HAT = 1.01
"""Within these a posterior is settled, as recommended by Vehtari et al. 2021, arXiv:1903.08008."""

LOO_DRAWS = 500
"""Draws of the scales, evenly spaced, over which leave-one-out predictions are averaged; given one they are exact."""

PIT_LEVELS = 39
"""Levels at which the distribution of predictive probabilities is compared with the uniform one."""


@dataclass(frozen=True, slots=True)
class Replicates:
    """Trained replicates, S in all.

    outcome: what is regressed, ``(S,)``, in a unit of its own; it must vary.
    error: standard error of its evaluation, ``(S,)``, in the same unit; 0 where there is none.
    log_dim: log of the latent dimension, ``(S,)``; it must vary.
    rate: R in nats, ``(S,)``; it must vary, and exceed −1.
    log_updates: log of the updates of the weights, ``(S,)``; where all are alike no effect of them is reported.
    prior: names of the replicates' priors, S of them; with one prior there is no effect of prior to estimate, and none
        is reported.
    cell: of each replicate, S names; so for
    replicate: its training seed, and
    dataset: the name of its data set. A grouping with one group, or with a group for each row, has no intercepts.

    Raises:
        ValueError: if a column is not finite, of another length, or does not vary where it must.
    """

    outcome: Tensor
    error: Tensor
    log_dim: Tensor
    rate: Tensor
    log_updates: Tensor
    prior: Sequence[str]
    cell: Sequence[str]
    replicate: Sequence[int]
    dataset: Sequence[str]

    def __post_init__(self) -> None:
        num = len(self.outcome)
        for name in ("outcome", "error", "log_dim", "rate", "log_updates"):
            column = getattr(self, name)
            varies = name in ("error", "log_updates") or len(column.unique()) > 1
            if column.shape != (num,) or not bool(column.isfinite().all()) or not varies:
                raise ValueError(
                    f"{name} must be finite, vary, and have one entry per replicate ({num}); got shape "
                    f"{tuple(column.shape)}: drop refused replicates and predictors that the study holds fixed"
                )
        for name in ("prior", "cell", "replicate", "dataset"):
            if len(getattr(self, name)) != num:
                raise ValueError(f"{name} must have one entry per replicate ({num}); got {len(getattr(self, name))}")
        if not (float(self.rate.min()) > -1 and float(self.error.min()) >= 0):
            raise ValueError("expected rates above −1 and errors of 0 or more; got others: drop these replicates")

    @property
    def priors(self) -> list[str]:
        """Distinct priors, in alphabetical order."""
        return sorted(set(self.prior))


class _Term(NamedTuple):
    """Part of the design whose coefficients are drawn: ``columns`` ``(S, k)``, and a ``basis`` ``(levels, k)`` that
    maps the coefficients to one per prior; ``per_unit`` takes them from standard deviations to units."""

    columns: Tensor
    per_unit: float
    basis: Tensor | None = None


def fit_effects(
    replicates: Replicates,
    generator: torch.Generator,
    *,
    interaction: Interaction = "none",
    prior_scale: float = 1.0,
    num_chains: int = 4,
    num_draws: int = 2_000,
) -> xr.DataTree:
    """Posterior of the regression as an ArviZ tree.

    Args:
        replicates: outcome and predictors.
        generator: the whole of the randomness.
        interaction: slope of log D by ``prior``, log D × ``rate``, or ``none``.
        prior_scale: c, in standard deviations of the outcome.
        num_chains: independent chains.
        num_draws: draws kept of each chain.

    Returns:
        Groups ``posterior`` (intercept, log_dim, rate, log_updates, prior_effect by prior, log_dim_by_prior by prior or
        log_dim_by_rate, and the standard deviations noise_scale, curvature_scale, cell_scale, replicate_scale and
        dataset_scale; dims chain, draw), ``loo_pit`` (probability of at most the replicate's outcome given all others;
        dim replicate), ``observed_data`` and ``constant_data`` (as given, dim replicate). Coefficients are in
        standard deviations of the outcome per standard deviation of the predictors, the rate's as log(1 + R); times
        their attribute ``per_unit`` they are in units of the outcome per unit of the predictors.

    Raises:
        ValueError: if an interaction with the prior is asked of a single prior.
    """
    unit = float(replicates.outcome.double().std())
    terms = _terms(replicates, interaction, unit)
    kernels = _kernels(replicates)
    model = MixedModel(
        _standardised(replicates.outcome),
        torch.cat([term.columns for term in terms.values()], 1),
        torch.stack(list(kernels.values())),
        replicates.error.detach().cpu().double() / unit,
        prior_scale,
    )
    scales = sample_scales(model, generator, num_chains=num_chains, num_draws=num_draws)
    flat = scales.flatten(0, 1)
    coefficients = model.coefficients(flat, generator).view(*scales.shape[:2], -1).numpy()

    posterior, ends = {}, np.cumsum([term.columns.shape[1] for term in terms.values()])[:-1]
    for (name, term), drawn in zip(terms.items(), np.split(coefficients, ends, -1), strict=True):
        posterior[name] = drawn[..., 0] if term.basis is None else drawn @ term.basis.numpy().T
    posterior |= dict(zip(kernels, scales.movedim(-1, 0).numpy(), strict=True))
    constants = {
        f"replicate_{name}": np.asarray(getattr(replicates, name))
        for name in ("log_dim", "rate", "log_updates", "prior", "cell", "replicate", "dataset")
    }
    tree = az.from_dict(
        {
            "posterior": posterior,
            "observed_data": {"outcome": replicates.outcome.cpu().numpy()},
            "constant_data": constants,
        },
        coords={"prior": replicates.priors, "replicate": np.arange(len(replicates.prior))},
        dims={name: ["prior"] for name, term in terms.items() if term.basis is not None}
        | {name: ["replicate"] for name in ("outcome", *constants)},
        attrs={
            "/": {
                "interaction": interaction,
                "prior_scale": prior_scale,
                "chain": "independent Markov chain",
                "outcome_mean": float(replicates.outcome.double().mean()),
            }
        },
    )
    for name in posterior:
        tree["posterior"][name].attrs["per_unit"] = terms[name].per_unit if name in terms else unit
    tree["loo_pit"] = xr.DataTree(
        xr.Dataset({"probability": ("replicate", _loo_pit(model, flat[:: max(1, len(flat) // LOO_DRAWS)]).numpy())})
    )
    return tree


class Settling(NamedTuple):
    """How far the chains of a posterior have settled.

    effective: the least effective number of draws of any quantity, of its bulk or its tails.
    r_hat: the largest r_hat.
    """

    effective: float
    r_hat: float

    @property
    def settled(self) -> bool:
        """Whether intervals may be read off: at least 400 effective draws and r_hat at most 1.01."""
        return self.effective >= LEAST_EFFECTIVE_DRAWS and self.r_hat <= LARGEST_R_HAT


def settling(tree: xr.DataTree) -> Settling:
    """Worst effective size and r_hat (rank-normalised, Vehtari et al. 2021) over all quantities of a posterior.

    Args:
        tree: with a group ``posterior``, as :func:`fit_effects` gives it.
    """
    posterior = tree["posterior"].to_dataset()
    sizes = [az.ess(posterior, method=method) for method in ("bulk", "tail")]
    least = min(float(each[name].min()) for each in sizes for name in each.data_vars)
    r_hats = az.rhat(posterior)
    return Settling(least, max(float(r_hats[name].max()) for name in r_hats.data_vars))


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


def pit_band(probabilities: np.ndarray) -> xr.Dataset:
    """Share of the ``probabilities`` ``(S,)`` below each of PIT_LEVELS levels (dim ``level``), and the ``lower`` and
    ``upper`` end of the band in which uniform ones stay with 95 % at all levels at once, see
    :mod:`analysis.calibration`.
    """
    ranks = torch.from_numpy(np.floor(probabilities * (PIT_LEVELS + 1))).clamp(max=PIT_LEVELS).to(torch.int64)
    uniformity = RankUniformity(ranks[:, None], PIT_LEVELS)
    lower, upper = uniformity.band()
    columns = {"share": uniformity.counts[0] / len(ranks), "lower": lower, "upper": upper}
    level = np.arange(1, PIT_LEVELS + 1) / (PIT_LEVELS + 1)
    return xr.Dataset({name: ("level", values) for name, values in columns.items()}, {"level": level})


def _standardised(column: Tensor) -> Tensor:
    values = column.detach().cpu().double()
    return (values - values.mean()) / values.std()


def _terms(replicates: Replicates, interaction: Interaction, unit: float) -> dict[str, _Term]:
    priors = replicates.priors
    membership = _membership(replicates.prior)
    columns = {"log_dim": replicates.log_dim, "rate": replicates.rate.log1p(), "log_updates": replicates.log_updates}
    spread = {name: float(column.double().std()) for name, column in columns.items()}
    terms = {"intercept": _Term(torch.ones(len(membership), 1, dtype=torch.float64), unit)}
    for name, column in columns.items():
        if len(column.unique()) > 1:  # of equal values the standard deviation may be more than 0, by rounding
            terms[name] = _Term(_standardised(column)[:, None], unit / spread[name])
    log_dim = terms["log_dim"].columns
    if len(priors) > 1:
        contrasts = _zero_sum_basis(len(priors))
        terms["prior_effect"] = _Term(membership @ contrasts, unit, contrasts)
        if interaction == "prior":
            terms["log_dim_by_prior"] = _Term(membership @ contrasts * log_dim, unit / spread["log_dim"], contrasts)
    elif interaction == "prior":
        raise ValueError(f"interaction with the prior needs replicates of at least two; got only {priors[0]!r}")
    if interaction == "rate":
        terms["log_dim_by_rate"] = _Term(log_dim * terms["rate"].columns, unit / (spread["log_dim"] * spread["rate"]))
    return terms


def _kernels(replicates: Replicates) -> dict[str, Tensor]:
    """Covariances ``(S, S)`` of what is random, at scale 1, by the name of their scale."""
    num = len(replicates.outcome)
    kernels = {"noise_scale": torch.eye(num, dtype=torch.float64)}
    if len(replicates.rate.unique()) > 2:
        kernels["curvature_scale"] = _curvature(replicates.rate.detach().cpu().double().log1p())
    for name in ("cell", "replicate", "dataset"):
        members = getattr(replicates, name)
        if 1 < len(set(members)) < num:
            membership = _membership(members)
            kernels[f"{name}_scale"] = membership @ membership.T
    return kernels


def _curvature(x: Tensor) -> Tensor:
    """Covariance of a cubic smoothing spline at ``x`` ``(S,)`` without its straight part, of mean variance 1."""
    places = (x - x.min()) / (x.max() - x.min())
    less, more = torch.minimum(places[:, None], places), torch.maximum(places[:, None], places)
    straight = torch.linalg.qr(torch.stack([torch.ones_like(places), places], 1)).Q
    away = torch.eye(len(x), dtype=torch.float64) - straight @ straight.T
    bent = away @ (less.square() * (3 * more - less) / 6) @ away
    return bent / bent.diagonal().mean()


def _membership(names: Sequence[str] | Sequence[int]) -> Tensor:
    """Which group each row belongs to, ``(S, groups)``, groups in their order."""
    groups = sorted(set(names), key=str)
    return torch.tensor([[float(name == group) for group in groups] for name in names], dtype=torch.float64)


def _zero_sum_basis(levels: int) -> Tensor:
    """Orthonormal basis [levels, levels − 1] of the vectors that sum to zero."""
    centred = torch.eye(levels, dtype=torch.float64) - 1 / levels
    return torch.linalg.qr(centred[:, :-1]).Q


def _loo_pit(model: MixedModel, scales: Tensor) -> Tensor:
    """P(at most y_i | all other outcomes) ``(S,)``, over the scales' posterior without y_i, of which draws with y_i
    are importance draws of weight 1/p(y_i | others, s) (Gelfand, Dey & Chang 1992)."""
    mean, deviation = model.leave_one_out(scales)
    away = (model.outcome - mean) / deviation
    weights = (0.5 * away.square() + deviation.log()).softmax(0)
    return (weights * torch.special.ndtr(away)).sum(0)
