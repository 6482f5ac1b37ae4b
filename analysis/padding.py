r"""Padding: a trained model with k inert dimensions appended, in which q(z_d|x) = p(z_d) = N(0, 1) for every image.

The densities gain the same factor Π N(z_d; 0, 1) on both sides, so log q_N(z) − log p(z), and with it KL, mutual
information and total variation, stay as they are at any k, while ‖z‖ concentrates: sd‖z‖/E‖z‖ → 0 as the shell that is
drawn of a high-dimensional normal thins. The control computes all of it anew in D + k dimensions, by the code that
measures real dimensions, in double precision: in single precision the rounding of 65,536 terms, 1e-5 nats, would show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.distributions import Independent, Normal

from analysis.aggregate import Aggregate, DiagonalAggregate, InMemoryCodes, StreamedCodes
from analysis.divergence import total_variation
from analysis.draws import evaluate_component_draws, evaluate_prior_draws
from analysis.estimate import Estimate

BLOCK_ELEMENTS = 2**24


@dataclass(frozen=True, slots=True)
class Padded:
    """Estimates with inert dimensions appended.

    padded_dim: D + k.
    kl: KL(q_N ‖ p) in nats.
    information: I_N in nats.
    total_variation: between q_N and p.
    shell_thickness: sd‖z‖/E‖z‖ of the draws.
    """

    padded_dim: int
    kl: Estimate
    information: Estimate
    total_variation: Estimate
    shell_thickness: float


def inert_padding(
    aggregate: Aggregate, padded_dims: Sequence[int], *, num_draws: int, generator: Generator
) -> list[Padded]:
    """The control at each of the padded dimensions, on the same draws of the D real ones, with prior N(0, I).

    Args:
        aggregate: q_N of diagonal normals, few enough for their codes to be in memory.
        padded_dims: D + k, each at least D.
        num_draws: draws of q_N, one from each of as many images, and as many of the prior.
        generator: the whole of the randomness.

    Raises:
        ValueError: if the posteriors are not diagonal normals, or a padded dimension is below D.
    """
    codes = aggregate.bubbles()
    indices = torch.randperm(aggregate.num_components, generator=generator, device=generator.device)[:num_draws]
    z, component = aggregate.sample_per_image(1, generator, indices.to(aggregate.device))
    z = z.double()
    prior_z = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=generator.device).to(z.device)
    results = []
    for dim in padded_dims:
        extra = dim - aggregate.latent_dim
        if extra < 0:
            raise ValueError(f"padded_dim must be at least D = {aggregate.latent_dim}; got {dim}")
        padded = _padded(codes, extra)
        zeros = torch.zeros(dim, dtype=torch.float64, device=z.device)
        prior = Independent(Normal(zeros, torch.ones_like(zeros)), 1)
        long_z, long_prior_z = _extended(z, extra, generator), _extended(prior_z, extra, generator)
        draws = evaluate_component_draws(padded, prior, long_z, component)
        from_prior = evaluate_prior_draws(padded, prior, long_prior_z)
        norms = long_z.norm(dim=1)
        results.append(
            Padded(
                dim,
                Estimate.mean(draws.log_ratio, groups=component),
                Estimate.mean(draws.log_conditional - draws.log_aggregate, groups=component),
                total_variation(draws, from_prior),
                float(norms.std() / norms.mean()),
            )
        )
    return results


def _padded(codes: InMemoryCodes, extra: int) -> DiagonalAggregate:
    """The aggregate of ``codes`` with ``extra`` dimensions of mean 0 and scale 1, which are never all in memory."""
    loc, scale = codes.loc.flatten(1).double(), codes.scale.flatten(1).double()

    def encode(images: Tensor) -> tuple[Tensor, Tensor]:
        inert = loc.new_zeros(len(images), extra)
        return torch.cat([loc[images], inert], 1), torch.cat([scale[images], inert + 1], 1)

    rows = max(1, BLOCK_ELEMENTS // (loc.shape[1] + extra))
    return DiagonalAggregate(StreamedCodes(encode, len(loc), loc.device, rows))


def _extended(z: Tensor, extra: int, generator: Generator) -> Tensor:
    noise = torch.randn(len(z), extra, generator=generator, dtype=z.dtype, device=generator.device)
    return torch.cat([z.flatten(1), noise.to(z.device)], 1)
