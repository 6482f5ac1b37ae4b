"""Placement: cells that memory has no room for are refused before any of it is taken."""

import pytest

from study.cli import main
from study.design.cost import LIBRARY_BYTES, Cost
from study.errors import EnvironmentFault
from study.run import placement
from study.run.placement import Placement


@pytest.fixture
def room(monkeypatch):
    def leave(gigabytes):
        monkeypatch.setattr(placement, "available_memory", lambda: LIBRARY_BYTES + gigabytes * 1e9)
        monkeypatch.setattr("torch.get_num_threads", lambda: 4)

    return leave


def costs(*gigabytes):
    return [Cost(None, LIBRARY_BYTES + own * 1e9, None) for own in gigabytes]


@pytest.mark.parametrize(("gigabytes", "workers"), [(100, 4), (20, 4), (19, 3), (11, 2), (6, 1), (5, 1)])
def test_auto_takes_as_many_processes_as_memory_has_room_for(room, gigabytes, workers):
    room(gigabytes)
    assert Placement.of(costs(*[5] * 8), "cpu", "auto").workers == workers


def test_the_most_demanding_cells_may_meet(room):
    room(11)
    assert Placement.of(costs(1, 9, 2), "cpu", "2").workers == 2
    with pytest.raises(
        EnvironmentFault, match=r"^there is too little memory: 3 processes on cpu take 13.1 GB at least"
    ):
        Placement.of(costs(1, 9, 2), "cpu", "3")


@pytest.mark.parametrize("workers", ["1", "auto"])
def test_one_cell_that_does_not_fit_is_refused(room, workers):
    room(4)
    with pytest.raises(EnvironmentFault, match=r"where 5.07 GB can be had; lower latent_dim, evaluate.draws") as caught:
        Placement.of(costs(5), "cpu", workers)
    assert "--workers" not in str(caught.value)
    assert Placement.of([], "cpu", workers).workers == 1


def test_more_processes_than_fit_are_refused_with_the_number_that_does(room):
    room(11)
    with pytest.raises(EnvironmentFault, match="use --workers 2, or lower latent_dim"):
        Placement.of(costs(5, 5, 5), "cpu", "3")


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_run_says_so_and_computes_nothing(room, tmp_path, capsys, words):
    room(0.5)
    options = ["--results", str(tmp_path / "results"), "--device", "cpu", *words]
    assert main(["run", "smoke", "latent_dim=2000000", *options]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: there is too little memory: ")
    assert not (tmp_path / "results").exists()


def test_a_dry_run_shows_what_there_is(room, tmp_path, capsys):
    room(7)
    assert main(["run", "smoke", "--dry-run", "--results", str(tmp_path), "--device", "cpu"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "4 cells: 4 missing; 2 processes on cpu take 1.07 GB at least, where 8.07 GB can be had"
