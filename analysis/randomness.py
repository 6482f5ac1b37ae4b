"""Randomness: streams of random numbers, each named by a seed and by what it is for.

A stream is addressed by words and never by a number that another use could share (:mod:`analysis.seeds`). Two draws
with the same name are common random numbers; two with different names are independent for every practical purpose, and
neither depends on whether the other is drawn.

Distributions take no generator. For them :func:`seeded` seeds torch's global generators and restores them afterwards.
This is the only module that touches the global state, and with :mod:`analysis.normal_noise` the only one that turns a
number into a generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator

from analysis.seeds import integer_seed


def stream(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> Generator:
    """A new generator at the start of the stream of this name.

    Args:
        seed: number of the repetition, such as the index of a replicate; repetitions are independent.
        purpose: words, and numbers such as an epoch, that say what the randomness is for; at least one.
        device: of the generator. Streams of one name agree between runs on one kind of device; CPU and CUDA differ.

    Raises:
        ValueError: if no purpose is named.

    >>> again = [torch.rand(3, generator=stream(0, "training noise")) for _ in range(2)]
    >>> torch.equal(*again)
    True
    >>> torch.equal(again[0], torch.rand(3, generator=stream(0, "prior draws")))
    False
    """
    return Generator(device).manual_seed(integer_seed(seed, *purpose))


@contextmanager
def seeded(generator: Generator, device: torch.device | str | None = None) -> Iterator[None]:
    """Makes what draws from torch's global generators follow ``generator`` within the block; restores them after it.

    Args:
        generator: gives one number, the seed of the block: it is advanced, so that its next block differs.
        device: where the block draws, beside the CPU; by default the generator's own.

    >>> before = torch.get_rng_state()
    >>> with seeded(stream(0, "prior draws")):
    ...     draws = torch.distributions.Normal(0.0, 1.0).sample((3,))
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    place = torch.device(device or generator.device)
    number = int(torch.randint(2**32, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.default_generator.manual_seed(number)
        if place.type == "cuda":
            with torch.cuda.device(place):
                torch.cuda.manual_seed(number)
        yield
