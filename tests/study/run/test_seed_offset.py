"""Fresh seeds: ``seed_offset`` moves every stream of training and measurement, and no cell without it."""

from pathlib import Path

import pytest
import torch

from analysis import randomness
from study.design.cell import Cell
from study.design.study import Study
from study.measurement.estimators import two_sample
from study.run.building import new_objective, new_vae
from study.run.data.binarisation import redraw
from study.run.experiment import run_cell
from study.run.training import fit
from study.run.training.batches import Batches

GREY = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(1))
SHARED = {
    "limit", "examples", "order of images", "held-out split", "reference split", "binarisation", "held-out loss",
    "training", "classifier",
}  # fmt: skip
"""Purposes of the streams of the images and of the instruments, which are the same whatever the seeds."""

TINY = {
    "latent_dim": 2,
    "limit": 60,
    "binarisation": "fixed",
    "network": {"name": "mlp", "hidden": [4]},
    "train": {"epochs": 1, "batch_size": 20, "engine": "eager"},
    "evaluate": {"draws": 20, "components": [1], "covariances": ["diagonal"], "densities": [], "importance": []}
    | {"samples": 0, "two_sample_draws": 20},
}


def names_of(monkeypatch, tmp_path: Path, **settings) -> set[tuple]:
    """Names of all the streams that a cell opens."""
    names = set()
    integer_seed = randomness.integer_seed

    def recorded(seed, *purpose):
        names.add((seed, *purpose))
        return integer_seed(seed, *purpose)

    with monkeypatch.context() as patch:
        for module in (randomness, two_sample):
            patch.setattr(module, "integer_seed", recorded)
        cell = Cell.from_config(TINY | settings)
        run_cell(cell, tmp_path, device="cpu", data_root=None, report=lambda progress: None)
    return names


def test_two_offsets_share_no_stream_but_those_of_the_images(monkeypatch, tmp_path):
    first = names_of(monkeypatch, tmp_path / "first", seeds=2)
    fresh = names_of(monkeypatch, tmp_path / "fresh", seeds=2, seed_offset=2)
    assert {purpose for _, purpose, *_ in first & fresh} <= SHARED
    assert {name[0] for name in first if name[1] not in SHARED} == {0, 1}
    assert {name[0] for name in fresh if name[1] not in SHARED} == {2, 3}


def test_no_offset_leaves_keys_as_they_were_and_another_is_another_cell():
    assert Cell(seed_offset=0).key == Cell().key == Cell.from_config({}).key
    without = Cell().config()
    del without["seed_offset"]
    assert Cell.from_config(without).key == Cell().key
    assert Cell(seed_offset=100).key != Cell().key


def test_a_study_is_repeated_by_one_word():
    cells = Study.load("smoke").override(["seed_offset=100"]).cells()
    assert {cell.seed_offset for cell in cells} == {100}
    both = Study.load("smoke").override(["seed_offset=0,100"]).cells()
    assert len({cell.key for cell in both}) == 2 * len(cells)


def trained(first: int, number: int) -> list[torch.Tensor]:
    """Parameters after training ``number`` replicates from seed ``first``, each from weights of its own seed."""
    cell = Cell.from_config(TINY | {"binarisation": "dynamic"})
    vaes = []
    for seed in range(first, first + number):
        torch.manual_seed(seed)
        vaes.append(new_vae(cell, (1, 8, 8), GREY[:10]))
    fit(
        vaes,
        new_objective(cell),
        lambda replicate, epoch: redraw(GREY, replicate=replicate, epoch=epoch),
        GREY[:10].round(),
        cell.train,
        first_seed=first,
    )
    return [torch.cat([p.detach().flatten() for p in vae.parameters()]) for vae in vaes]


def test_replicates_are_trained_as_the_replicates_of_those_seeds():
    """From equal weights; those that a cell starts from follow its key too, which the number of seeds enters."""
    three, two = trained(0, 3), trained(1, 2)
    for with_all, alone in zip(three[1:], two, strict=True):
        torch.testing.assert_close(with_all, alone, rtol=0, atol=0)
    assert not torch.equal(three[0], two[0])


@pytest.mark.parametrize("offset", [0, 1, 7])
def test_order_and_noise_are_those_of_the_seed(offset):
    batches = Batches(GREY, [offset, offset + 1], 20, [torch.Size([3])])
    batches.start_epoch(0)
    again = Batches(GREY, [offset + 1], 20, [torch.Size([3])])
    again.start_epoch(0)
    assert torch.equal(batches._order[:, 1], again._order[:, 0])


def test_what_is_measured_and_how_many_seeds_leave_a_training_as_it_is(tmp_path):
    def weights(**settings) -> dict:
        cell = Cell.from_config(TINY | {"seeds": 2} | settings)
        return run_cell(cell, tmp_path / cell.key, device="cpu", data_root=None, report=lambda _: None).weights

    def differ(one: dict, other: dict, first: int = 0) -> bool:
        names = [name for name in other if name.startswith("0/")]
        return any((one[name.replace("0/", f"{first}/", 1)] != other[name]).any() for name in names)

    plain = weights()
    assert not differ(plain, weights(evaluate=TINY["evaluate"] | {"omit": ["growth"], "draws": 30}))
    assert not differ(plain, weights(seeds=1, seed_offset=1), first=1)
    assert differ(plain, weights(beta=2.0))
