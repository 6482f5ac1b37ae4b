"""Randomness: names of streams, and the global state that a block borrows."""

import itertools

import pytest
import torch

from analysis.randomness import seeded, stream
from analysis.seeds import integer_seed

NAMES = [
    ("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("a", ""), ("a",), ("", "a"), ("a,b",), ("a", "b"),
    ('a","b',), ("a/b",), ("order", 1), ("order", "1"), ("order", 1, 2), ("order", 12), ("1", "order"), ("é",), ("e",),
]  # fmt: skip


def uniform(generator: torch.Generator, num: int = 4) -> torch.Tensor:
    return torch.rand(num, generator=generator)


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_a_name_gives_the_same_stream_again(name):
    assert torch.equal(uniform(stream(3, *name)), uniform(stream(3, *name)))


def test_names_that_differ_give_streams_that_differ():
    """Across seeds too: no seed 1 with purpose 2 is a seed 12 with none."""
    starts = [tuple(uniform(stream(seed, *name)).tolist()) for seed in (0, 1, 12, -1) for name in NAMES]
    assert len(set(starts)) == len(starts)


def test_the_streams_of_a_large_study_do_not_share_a_seed():
    epochs = itertools.product(("order", "binarisation"), range(500))
    seeds = [integer_seed(replicate, *name) for name in epochs for replicate in range(5)]
    assert len(set(seeds)) == len(seeds)


def test_seeds_fit_what_the_cpu_generator_reads():
    seeds = [integer_seed(seed, "seed") for seed in range(2_000)]
    assert min(seeds) >= 0
    assert 2**31 < max(seeds) < 2**32
    above, below = (torch.Generator().manual_seed(seed) for seed in (seeds[0] + 2**32, seeds[0]))
    assert torch.equal(uniform(above), uniform(below))  # the reason: a seed's higher bits are not read


def test_a_stream_without_a_purpose_is_refused():
    with pytest.raises(ValueError, match="expected words"):
        stream(0)


def test_neighbouring_streams_are_uncorrelated():
    rows = torch.stack([uniform(stream(seed, "noise"), 10_000) for seed in range(6)])
    correlations = torch.corrcoef(rows).fill_diagonal_(0)
    assert float(correlations.abs().max()) < 4.5 / 100  # 15 pairs at 4.5 standard errors


def test_a_seeded_block_follows_its_stream_and_restores_the_global_state():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    blocks = []
    for purpose in ("prior", "prior", "posterior"):
        with seeded(stream(0, purpose)):
            blocks.append(torch.rand(3))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(blocks[0], blocks[1])
    assert not torch.equal(blocks[0], blocks[2])


def test_the_global_state_is_restored_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(stream(0, "prior")):
        torch.rand(3) @ torch.rand(4)
    assert torch.equal(before, torch.get_rng_state())


def test_blocks_of_one_generator_differ():
    generator, draws = stream(0, "chunks"), []
    for _ in range(2):
        with seeded(generator):
            draws.append(torch.rand(3))
    assert not torch.equal(*draws)


@pytest.mark.gpu
def test_a_seeded_block_restores_the_device_too():
    before = torch.cuda.get_rng_state()
    draws = []
    for generator in (stream(0, "prior", device="cuda"), stream(0, "prior", device="cuda")):
        with seeded(generator):
            draws.append(torch.rand(3, device="cuda"))
    assert torch.equal(*draws)
    assert torch.equal(before, torch.cuda.get_rng_state())


def test_a_new_generator_always_starts_from_the_same_state():
    """The draws behind priors with an estimated normaliser rest on it."""
    torch.manual_seed(1)
    first = uniform(torch.Generator())
    torch.manual_seed(2)
    assert torch.equal(first, uniform(torch.Generator()))
