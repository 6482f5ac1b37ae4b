"""Kernels: what measurement compiles for this machine, compiled or read from its cache before workers fork.

Two workers that met the first measurement at once would compile the same functions twice, seconds each.
"""

from __future__ import annotations

import torch

from analysis.pairwise import mixture_log_density
from analysis.total_correlation import marginal_log_prob


def compile_kernels() -> None:
    """Compiles the kernels of densities, in this thread alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = torch.ones(1, 1)
    try:
        mixture_log_density(one, [(one, one)])
        marginal_log_prob(one, one, one)
    finally:
        torch.set_num_threads(threads)
