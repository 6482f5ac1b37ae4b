r"""Normal with a covariance Σ of any form, and its divergence from a diagonal normal:

KL(N(μ, Σ) ‖ N(m, diag s²)) = ½ Σ_d [(Σ_dd + (μ_d − m_d)²)/s_d² − 1 + log s_d²] − ½ log det Σ.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import override

import torch
from torch import Tensor
from torch.distributions import Independent, Normal
from torch.distributions.kl import register_kl

from models.distributions.event import EventDistribution
from models.standard_normal import HALF_LOG_2PI


class CovarianceNormal(EventDistribution):
    """N(μ, Σ) over vectors; a subclass gives Σ by what it costs least, and ``loc`` μ ``(*batch_shape, D)``."""

    has_rsample = True
    loc: Tensor

    @property
    @abstractmethod
    def half_log_det(self) -> Tensor:
        """½ log det Σ, ``batch_shape``."""

    @property
    @abstractmethod
    def covariance_matrix(self) -> Tensor:
        """Σ, ``(*batch_shape, D, D)``."""

    @abstractmethod
    def squared_distance(self, difference: Tensor) -> Tensor:
        """δᵀ Σ⁻¹ δ, ``(…, *batch_shape)``, of ``difference`` δ = z − μ ``(…, *batch_shape, D)``."""

    @property
    def mean(self) -> Tensor:
        """μ as events ``(*batch_shape, *event_shape)``."""
        return self.shaped(self.loc)

    @override
    def log_density(self, z: Tensor) -> Tensor:
        distance = self.squared_distance(z - self.loc)
        return -0.5 * distance - self.half_log_det - self.loc.shape[-1] * HALF_LOG_2PI


@register_kl(CovarianceNormal, Independent)
def _kl(q: CovarianceNormal, p: Independent) -> Tensor:
    if not isinstance(p.base_dist, Normal):
        raise NotImplementedError
    variance = p.base_dist.variance
    ratio = (q.variance + (q.mean - p.base_dist.mean).square()) / variance
    with torch.autocast(ratio.device.type, enabled=False):
        half_log_det = q.half_log_det
    return 0.5 * (ratio - 1 + variance.log()).flatten(-len(q.event_shape)).sum(-1) - half_log_det
