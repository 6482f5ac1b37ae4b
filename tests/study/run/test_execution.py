"""Cells on one process and on several: computed once, isolated from each other's failures, stopped without loss."""

import os
import signal
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest
import torch

from study.design.cell import Cell
from study.errors import ConfigurationError, DataError, EnvironmentFault, Interrupted, StudyError, TrainingFailed
from study.run.execution import execute, resolve_device, resolve_workers, share
from study.run.job import Job, Outcome
from study.run.progress import Progress
from study.store.store import Store

# A stand-in for run_cell in a module of its own, so that spawned workers can import it. It counts its calls in a file,
# keeps its step in the workspace, and does what the number of latent dimensions tells it to.
RUNNERS = """
    import os
    import time
    from types import SimpleNamespace

    import numpy as np
    import torch
    import xarray as xr

    from study.errors import DataError, TrainingFailed
    from study.run.progress import Progress

    NAN, CRASH, NO_DATA, KILLED = 13, 14, 15, 16
    STEPS = 5


    def run(cell, workspace, *, device, data_root, report, pause=0.0):
        with (workspace.parent / "calls").open("a") as calls:
            calls.write(f"{cell.latent_dim} {os.getpid()} {torch.get_num_threads()}\\n")
        match cell.latent_dim:
            case 13:
                raise TrainingFailed(3, "rate")
            case 14:
                raise RuntimeError("a bug\\nin two lines")
            case 15:
                raise DataError("the images are gone")
            case 16:
                os._exit(9)
        checkpoint = workspace / "step"
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for step in range(first, STEPS):
            try:
                report(Progress("training", step, STEPS, loss=1.0))
            except KeyboardInterrupt:
                checkpoint.write_text(str(step))
                raise
            time.sleep(pause)
        tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"rate": (("chain", "draw"), np.ones((2, 4)))})})
        return SimpleNamespace(tree=tree, weights={"w": np.ones(2, np.float32)}, details={"started_at_step": first})


    def slow(*args, **kwargs):
        return run(*args, **kwargs, pause=0.6)


    def slower(*args, **kwargs):
        # Long enough that a signal finds it at work on a loaded machine too.
        return run(*args, **kwargs, pause=1.5)
"""


@pytest.fixture
def runners(tmp_path, monkeypatch):
    (tmp_path / "runners_for_test.py").write_text(textwrap.dedent(RUNNERS))
    monkeypatch.syspath_prepend(tmp_path)
    import runners_for_test

    yield runners_for_test
    del sys.modules["runners_for_test"]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results" / "test")


@pytest.fixture
def jobs(store, runners):
    def build(*latent_dims, runner=runners.run):
        cells = [Cell.from_config({"latent_dim": latent_dim}) for latent_dim in latent_dims]
        return [Job(cell, store, runner, "cpu", None, "abc", "the command") for cell in cells]

    return build


def calls(store):
    path = store.cells / "calls"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def conditions(store, jobs):
    return [store.condition(job.cell.key) for job in jobs]


def test_every_cell_is_computed_once_and_found_again(store, jobs):
    events = []
    first = execute(jobs(2, 4, 8), 1, events.append)
    assert [outcome.status for outcome in first] == ["stored"] * 3
    assert conditions(store, jobs(2, 4, 8)) == ["done"] * 3
    second = execute(jobs(2, 4, 8, 10), 1, events.append)
    assert [outcome.status for outcome in second] == ["present"] * 3 + ["stored"]
    assert [line[0] for line in calls(store)] == ["2", "4", "8", "10"]


def test_a_watcher_sees_each_cell_start_report_and_end(jobs):
    events = []
    (job,) = jobs(2)
    execute([job], 1, events.append)
    assert events[0].what is None
    assert all(isinstance(event.what, Progress) for event in events[1:-1])
    assert len(events) > 2
    assert isinstance(events[-1].what, Outcome)
    assert {event.key for event in events} == {job.cell.key}


def test_a_failed_cell_does_not_stop_the_study(store, jobs, runners):
    outcomes = execute(jobs(2, runners.NAN, runners.CRASH, 4), 1, lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["stored", "failed", "failed", "stored"]
    nan, crash = (store.failure(job.cell.key) for job in jobs(runners.NAN, runners.CRASH))
    assert (nan["step"], nan["term"], nan["command"]) == (3, "rate", "the command")
    assert crash["message"].startswith("RuntimeError: a bug")
    assert "runners_for_test.py" in "".join(crash["traceback"])


def test_a_failed_cell_is_tried_again(store, jobs, runners):
    (job,) = jobs(runners.NAN)
    execute([job], 1, lambda _: None)
    assert [o.status for o in execute([job], 1, lambda _: None)] == ["failed"]
    assert len(calls(store)) == 2


def test_a_result_that_cannot_be_stored_fails_its_cell_alone(store, jobs, runners):
    def unstorable(cell, workspace, **_):
        result = runners.run(cell, workspace, device="cpu", data_root=None, report=lambda _: None)
        result.details["what"] = object() if cell.latent_dim == 2 else "fine"
        return result

    outcomes = execute(jobs(2, 4, runner=unstorable), 1, lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["failed", "stored"]


def test_an_error_that_concerns_all_cells_stops_the_study(store, jobs, runners):
    with pytest.raises(DataError, match="the images are gone"):
        execute(jobs(2, runners.NO_DATA, 4), 1, lambda _: None)
    assert conditions(store, jobs(2, runners.NO_DATA, 4)) == ["done", "unfinished", "missing"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_a_safe_point_and_the_next_run_resumes(store, jobs, runners, signum):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def interrupt_at_third_report(event):
        if isinstance(event.what, Progress) and event.what.done == 2:
            os.kill(os.getpid(), signum)

    with pytest.raises(Interrupted, match="the same command resumes") as caught:
        execute(jobs(2, 4, runner=runners.slow), 1, interrupt_at_third_report)
    assert caught.value.exit_code == 128 + signum
    assert conditions(store, jobs(2, 4)) == ["unfinished", "missing"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers

    outcomes = execute(jobs(2, 4), 1, lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["stored", "stored"]
    assert store.verify(jobs(2)[0].cell.key).details["started_at_step"] == 3


def test_a_second_signal_does_not_wait(store, jobs):
    def deaf(cell, workspace, **_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    start = time.monotonic()
    with pytest.raises(Interrupted):
        execute(jobs(2, runner=deaf), 1, lambda _: None)
    assert time.monotonic() - start < 10
    assert conditions(store, jobs(2)) == ["unfinished"]


def test_a_cell_that_another_run_holds_comes_last_and_is_not_computed_twice(store, jobs):
    held, other = jobs(2, 4)
    entered = threading.Event()

    def another_run():
        with store.lock(held.cell.key, wait=False):
            entered.set()
            time.sleep(0.5)
            result = held.runner(held.cell, store.begin(held.cell, images="abc"), device="cpu", data_root=None,
                                 report=lambda _: None)  # fmt: skip
            store.publish(held.cell, result, images="abc", device="cpu", seconds=1.0, command="")

    thread = threading.Thread(target=another_run)
    thread.start()
    entered.wait()
    outcomes = execute([held, other], 1, lambda _: None)
    thread.join()
    assert [(o.key, o.status) for o in outcomes] == [(other.cell.key, "stored"), (held.cell.key, "present")]
    assert sorted(line[0] for line in calls(store)) == ["2", "4"]


@pytest.mark.slow
def test_a_pool_computes_what_one_process_computes_with_its_threads_divided(store, jobs, runners):
    events = []
    outcomes = execute(jobs(2, runners.NAN, 4, 6, runner=runners.slow), 2, events.append)
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "stored", "stored", "stored"]
    seen = calls(store)
    assert os.getpid() not in {int(pid) for _, pid, _ in seen}
    assert len({pid for _, pid, _ in seen}) == 2
    assert {int(threads) for *_, threads in seen} == {max(1, torch.get_num_threads() // 2)}
    assert any(isinstance(event.what, Progress) for event in events)
    assert sum(isinstance(event.what, Outcome) for event in events) == 4


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_pool_after_its_cells_have_saved(store, jobs, runners, signum):
    sent = []

    def interrupt_at_a_report(event):
        # Once: both workers come to this report, and a second signal means not to wait for them.
        if isinstance(event.what, Progress) and event.what.done == 1 and not sent:
            sent.append(signum)
            os.kill(os.getpid(), signum)

    many = jobs(2, 4, 6, 8, 10, 12, runner=runners.slower)
    with pytest.raises(Interrupted) as caught:
        execute(many, 2, interrupt_at_a_report)
    assert caught.value.exit_code == 128 + signum
    saved = [job for job in many if (store.workspace(job.cell.key) / "step").exists()]
    assert 1 <= len(saved) <= 2
    assert "missing" in conditions(store, many)
    outcomes = execute([replace(job, runner=runners.run) for job in many], 1, lambda _: None)
    assert conditions(store, many) == ["done"] * 6
    assert len(outcomes) == 6
    assert all(store.verify(job.cell.key).details["started_at_step"] > 0 for job in saved)


@pytest.mark.slow
def test_a_killed_worker_is_an_environment_fault_and_loses_no_stored_cell(store, jobs, runners):
    with pytest.raises(EnvironmentFault, match="a worker process was killed"):
        execute(jobs(2, runners.KILLED, 4), 2, lambda _: None)
    execute(jobs(2, 4), 1, lambda _: None)
    assert conditions(store, jobs(2, 4)) == ["done", "done"]


@pytest.mark.slow
def test_an_error_that_concerns_all_cells_stops_a_pool(jobs, runners):
    with pytest.raises(DataError, match="the images are gone"):
        execute(jobs(runners.NO_DATA, 2, 4), 2, lambda _: None)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_shards_partition_the_cells_evenly(count):
    cells = [Cell.from_config({"latent_dim": d}) for d in range(1, 14)]
    shards = [share(cells, f"{i}/{count}") for i in range(1, count + 1)]
    assert sorted(c.latent_dim for shard in shards for c in shard) == list(range(1, 14))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_automatic_choices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    assert resolve_workers("auto", 5, "cuda") == 1
    assert 1 <= resolve_workers("auto", 5, "cpu") <= 5
    assert resolve_workers("auto", 0, "cpu") == 1
    assert resolve_workers("8", 3, "cpu") == 3
    for wrong in ("0", "-1", "two", "1.5", ""):
        with pytest.raises(ConfigurationError, match="--workers"):
            resolve_workers(wrong, 3, "cpu")


@pytest.mark.parametrize("error", [TrainingFailed(3, "rate"), Interrupted(2), DataError("x"), ConfigurationError("y")])
def test_errors_cross_processes(error):
    import pickle

    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.exit_code) == (type(error), str(error), error.exit_code)
    assert isinstance(copy, StudyError)
