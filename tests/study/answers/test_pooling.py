"""Cells that differ in their seeds alone, read as one."""

import numpy as np
import pytest
import xarray as xr

from study.answers.hypotheses._families import families
from study.answers.hypotheses._intervals import by_replicate, mean_of
from study.answers.hypotheses._records import record_lines
from study.answers.results import Results
from study.design.study import Study
from study.store.result import CellResult
from study.store.store import Store


def tree(seeds: range, draws: int) -> xr.DataTree:
    """KL and draws that say of which seed they are."""
    numbers = np.array(seeds, dtype=float)
    shape = (len(numbers), 1, 1)
    fields = {"value": numbers.reshape(shape), "standard_error": np.full(shape, 0.1), "n": np.full(shape, 50)}
    texts = {"bound": np.full(shape, "unbiased"), "flags": np.full(shape, "")}
    dims, coords = ("chain", "split", "quantity"), {"split": ["train"], "quantity": ["kl"]}
    chain = {"chain": range(len(numbers))}
    norms = np.repeat(numbers[:, None], draws, 1)
    shells = dict.fromkeys(("aggregate_norm", "prior_norm"), (("chain", "draw"), norms))
    return xr.DataTree.from_dict(
        {
            "aggregate": xr.Dataset({name: (dims, value) for name, value in (fields | texts).items()}, coords | chain),
            "shells": xr.Dataset(shells, chain | {"draw": range(draws)}),
        }
    )


@pytest.fixture
def keep(tmp_path):
    """Stores one cell in a folder of its own and loads all there are."""

    def stored(folder, *assignments, draws=4):
        settings = {"prior": "vamp", "latent_dim": "2"} | dict(each.split("=") for each in assignments)
        (cell,) = Study.load("smoke").override([f"{name}={value}" for name, value in settings.items()]).cells()
        store = Store(tmp_path / folder)
        seeds = range(cell.seed_offset, cell.seed_offset + cell.seeds)
        with store.lock(cell.key, wait=False):
            store.begin(cell, images="")
            store.publish(
                cell, CellResult(tree(seeds, draws), {}, {}), images="", device="cpu", seconds=1.0, command=""
            )
        return Results.load(sorted(path.parent for path in tmp_path.glob("*/cells")))

    return stored


def test_further_seeds_are_further_replicates_of_the_same_cell(keep):
    keep("b", "seeds=3", "seed_offset=7")
    (cell,) = keep("a", "seeds=2")
    assert cell.settings["seeds"] == 5
    assert [part.settings["seed_offset"] for part in cell.stored] == [0, 7]
    assert cell.contents.group("shells")["prior_norm"].sel(chain=8).values.tolist() == [8.0] * 4
    table = Results((cell,)).frame(kl="aggregate/train/kl")
    assert table["kl"].tolist() == [0, 1, 7, 8, 9]
    assert table["replicate"].tolist() == [0, 1, 7, 8, 9]
    assert set(Results((cell,)).by_replicate("aggregate/train/kl").values()) == {(kl, 0.1) for kl in (0, 1, 7, 8, 9)}
    assert Results((cell,)).values("aggregate/train/kl")["replicate"].tolist() == [0, 1, 7, 8, 9]


def test_replicates_are_paired_by_their_seeds_and_not_by_their_places(keep):
    """Those of one seed share data order and noise, whatever other seeds a cell has."""
    keep("a", "seeds=2")
    keep("b", "seeds=2", "seed_offset=100")
    results = keep("c", "seeds=4", "prior=standard_normal")
    lines = families(results, "prior", kl="aggregate/train/kl")
    by_prior = {prior: set(own["replicate"]) for prior, own in lines.groupby("prior")}
    assert by_prior == {"vamp": {0, 1, 100, 101}, "standard_normal": {0, 1, 2, 3}}
    shells = record_lines(results, lines, "shells", {"norm": "prior_norm"})
    assert (shells["norm"] == shells["replicate"]).all()
    complete = by_replicate(lines, mean_of("kl")).dropna(axis=1)
    assert complete.columns.tolist() == [0, 1]


def test_a_result_with_other_replicates_than_its_configuration_is_left_out(keep, tmp_path):
    (cell,) = keep("a", "seeds=2")
    keep("b", "seeds=3", "latent_dim=4")
    store, (whole,) = Store(tmp_path / "forged"), Results.load([tmp_path / "b"])
    store.cells.mkdir(parents=True)
    store.publish(
        cell.cell, CellResult(whole.store.read(whole.key), {}, {}), images="", device="cpu", seconds=1.0, command=""
    )
    results = Results.load([store.root])
    assert not len(results)
    assert list(results.left_out.values()) == [
        "the groups of its result have 3 replicates where its configuration has 2"
    ]


def test_seeds_that_two_cells_share_do_not_count_twice(keep):
    keep("a", "seeds=3")
    results = keep("b", "seeds=3", "seed_offset=2")
    assert sorted(cell.settings["seeds"] for cell in results) == [3, 3]
    results = keep("c", "seeds=2", "seed_offset=3")
    assert sorted(cell.settings["seeds"] for cell in results) == [3, 5]


def test_a_cell_with_common_seeds_does_not_part_the_others(keep, caplog):
    keep("a", "seeds=2")
    keep("b", "seeds=2", "seed_offset=2")
    assert [cell.settings["seeds"] for cell in keep("c", "seeds=2", "seed_offset=4")] == [6]
    assert not caplog.records
    for folder, *seeds in (("d", "seeds=3"), ("e", "seeds=2", "seed_offset=1"), ("f", "seeds=2", "seed_offset=3")):
        results = keep(folder, *seeds)
        assert max(cell.settings["seeds"] for cell in results) == 6
    assert sorted(cell.settings["seeds"] for cell in results) == [2, 2, 3, 6]
    assert "seed_offset of their own" in caplog.text


@pytest.mark.parametrize("other", ["evaluate.draws=77", "train.learning_rate=0.5", "beta=2"])
def test_cells_that_differ_in_anything_else_stay_apart(keep, other):
    keep("a", "seeds=2")
    assert len(keep("b", "seeds=2", "seed_offset=2", other)) == 2


def test_how_training_is_executed_parts_no_cells(keep):
    keep("a", "seeds=2")
    assert len(keep("b", "seeds=2", "seed_offset=2", "train.engine=eager")) == 1


def test_results_of_another_layout_stay_apart(keep):
    keep("a", "seeds=2")
    assert len(keep("b", "seeds=2", "seed_offset=2", draws=5)) == 2
