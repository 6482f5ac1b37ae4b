"""Choice among Gaussian mixtures: by BIC on the codes they were fitted to, and by log-density of codes held out.

The held-out score E_q[ln r(z)] orders densities fitted to the same codes by KL(q ‖ r), and less E_q[ln p(z)] it is the
certified mismatch of the prior p. BIC is asymptotic in the codes per parameter: where they disagree, trust the score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.mixtures.covariances import COVARIANCES, CovarianceName, MixtureRefused
from analysis.mixtures.fit import fit_gaussian_mixture
from analysis.mixtures.mixture import FittedMixture


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of the comparison; a refused one has no mixture, a NaN ``bic`` and refused scores.

    num_components: K.
    covariance: kind of covariance.
    mixture: as fitted to the training codes.
    bic: on the training codes, nats; lower is better.
    train: mean log-density of the training codes, nats per code, optimistic by about p/N.
    held_out: mean log-density of the held-out codes, nats per code, unbiased.
    """

    num_components: int
    covariance: str
    mixture: FittedMixture | None
    bic: float
    train: Estimate
    held_out: Estimate

    @property
    def refused(self) -> str | None:
        """Why there is no mixture."""
        return self.held_out.flags[0].removeprefix("refused: ") if self.held_out.is_refused else None


@dataclass(frozen=True, slots=True)
class MixtureSelection:
    """All candidates, in the order asked for."""

    candidates: tuple[Candidate, ...]

    @property
    def accepted(self) -> tuple[Candidate, ...]:
        """The candidates that were not refused."""
        return tuple(candidate for candidate in self.candidates if candidate.mixture is not None)

    @property
    def best_by_held_out(self) -> Candidate | None:
        """The candidate of highest held-out score; none where all were refused."""
        return max(self.accepted, key=lambda candidate: candidate.held_out.value, default=None)


def select_gaussian_mixture(
    codes: Tensor,
    held_out: Tensor,
    num_components: Iterable[int],
    covariance: Iterable[CovarianceName],
    *,
    generator: torch.Generator,
    held_out_groups: Tensor | None = None,
    rank: int | None = None,
    num_starts: int = 3,
) -> MixtureSelection:
    """Fits every combination of number and covariance, and scores it on codes of other images.

    Args:
        codes: ``(N, D)``.
        held_out: codes of other images, ``(M, D)``.
        num_components: the numbers K.
        covariance: the kinds.
        generator: of the starts.
        held_out_groups: integer label ``(M,)`` of the image of each held-out code where an image has several, so that
            standard errors count images.
        rank: number of factors of ``low_rank`` covariances.
        num_starts: as of :func:`fit_gaussian_mixture`.

    Raises:
        ValueError: as there; what the codes cannot support is a refused candidate.
    """

    def candidate(number: int, kind: CovarianceName) -> Candidate:
        try:
            mixture = fit_gaussian_mixture(
                codes,
                number,
                kind,
                generator=generator,
                num_starts=num_starts,
                rank=rank if COVARIANCES[kind].has_rank else None,
            )
        except MixtureRefused as reason:
            return Candidate(number, kind, None, math.nan, Estimate.refused(str(reason)), Estimate.refused(str(reason)))
        flags = () if mixture.converged else (f"not converged in {mixture.num_iterations} iterations",)
        return Candidate(
            number,
            kind,
            mixture,
            mixture.bic(codes),
            Estimate.mean(mixture.log_prob(codes), flags=("in sample", *flags)),
            Estimate.mean(mixture.log_prob(held_out), flags=flags, groups=held_out_groups),
        )

    kinds = list(covariance)
    return MixtureSelection(tuple(candidate(number, kind) for number in num_components for kind in kinds))
