"""Launch: cells are handed out the longest first, so that the last worker does not compute a long one alone."""

import pytest
from rich.console import Console

import study.run.launch
import study.run.placement
from study.design.schedule import makespan
from study.design.study import Study
from study.run.checking import check_all
from study.run.launch import Launch
from study.store.store import Store


def end_of_the_last(seconds, workers):
    """When workers that each take the next cell of a list are through with it."""
    busy = [0.0] * workers
    for length in seconds:
        busy[busy.index(min(busy))] += length
    return max(busy)


@pytest.fixture
def handed_out(monkeypatch):
    """The jobs that would be computed, in the order in which workers take them."""
    jobs = []
    monkeypatch.setattr(study.run.launch, "execute", lambda todo, workers, watch: jobs.extend(todo) or [])
    monkeypatch.setattr(study.run.placement, "available_memory", lambda: float("inf"))
    return jobs


def test_two_long_cells_at_the_end_of_a_study_leave_no_worker_idle(tmp_path, handed_out):
    words = ["latent_dim=2", "prior=standard_normal", "seeds=1", "train.updates=20000,39000,60000"]
    cells = Study.load("smoke").override(words).cells()
    launch = Launch(Store(tmp_path / "results"), "2", "cpu", None, None, "the command")
    assert launch.compute(cells, Console(quiet=True)) == []
    seconds = {key: cost.seconds for key, cost in check_all(cells).items()}
    assert end_of_the_last([seconds[cell.key] for cell in cells], 2) > 1.05 * makespan(seconds, 2)
    assert end_of_the_last([seconds[job.cell.key] for job in handed_out], 2) == makespan(seconds, 2)
    assert {job.cell.key for job in handed_out} == {cell.key for cell in cells}


def test_one_process_keeps_the_studys_order(tmp_path, handed_out):
    cells = Study.load("smoke").override(["latent_dim=2", "seeds=1", "train.updates=20,60,40"]).cells()
    Launch(Store(tmp_path / "results"), "1", "cpu", None, None, "").compute(cells, Console(quiet=True))
    assert [job.cell.key for job in handed_out] == [cell.key for cell in cells]


def test_cells_that_take_equally_long_stay_in_the_studys_order(tmp_path, handed_out):
    cells = Study.load("smoke").override(["latent_dim=2", "prior=standard_normal", "beta=4,1,3,2"]).cells()
    Launch(Store(tmp_path / "results"), "2", "cpu", None, None, "").compute(cells, Console(quiet=True))
    assert [job.cell.key for job in handed_out] == [cell.key for cell in cells]
