"""Cells on one process and on several: computed once, isolated from each other's failures, stopped without loss."""

import errno
import multiprocessing.connection
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from study.design.cell import Cell
from study.errors import (
    TOO_LITTLE_MEMORY,
    ConfigurationError,
    DataError,
    EnvironmentFault,
    Interrupted,
    StudyError,
    TrainingFailed,
)
from study.run.division import Shard
from study.run.execution import Stop, execute, resolve_device, resolve_workers, run_on
from study.run.job import Job, Outcome, compute
from study.run.progress import Progress
from study.run.workers import WorkerDied, Workers
from study.store.store import Store

# A stand-in for run_cell in a module of its own, so that spawned workers can import it. It counts its calls in a file,
# keeps its step in the workspace, and does what the number of latent dimensions tells it to.
RUNNERS = """
    import os
    import signal
    import time
    from types import SimpleNamespace

    import numpy as np
    import torch
    import xarray as xr

    from study.errors import DataError, EnvironmentFault, TrainingFailed
    from study.run.progress import Progress

    NAN, CRASH, DAMAGED, KILLED, FULL, KILLED_ONCE, LARGE = 13, 14, 15, 16, 17, 18, 19
    STEPS = 5


    def run(cell, workspace, *, device, data_root, report, pause=0.0, parts=1):
        with (workspace.parent / "calls").open("a") as calls:
            calls.write(f"{cell.latent_dim} {os.getpid()} {torch.get_num_threads()}\\n")
        match cell.latent_dim:
            case 13:
                raise TrainingFailed(3, "rate")
            case 14:
                raise RuntimeError("a bug\\nin two lines")
            case 15:
                raise DataError("the checkpoint is damaged")
            case 16:
                os.kill(os.getpid(), signal.SIGKILL)
            case 17:
                raise EnvironmentFault("the disk is full")
            case 19:
                torch.empty(10**15)
            case 18 if not (workspace / "killed").exists():
                (workspace / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        checkpoint = workspace / "step"
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for step in range(first, STEPS):
            try:
                for _ in range(parts):
                    report(Progress("training", step, STEPS, loss=1.0))
                    time.sleep(pause / parts)
            except KeyboardInterrupt:
                checkpoint.write_text(str(step))
                raise
        tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"rate": (("chain", "draw"), np.ones((2, 4)))})})
        return SimpleNamespace(tree=tree, weights={"w": np.ones(2, np.float32)}, details={"started_at_step": first})


    def deaf(cell, workspace, *, report, **_):
        report(Progress("training", 0, STEPS))
        if cell.latent_dim == 2:
            (workspace / "checkpoint.safetensors").touch()
        report(Progress("training", STEPS, STEPS))
        time.sleep(60)


    def slow(*args, **kwargs):
        return run(*args, **kwargs, pause=0.6)


    def slower(*args, **kwargs):
        # Long enough that a signal finds it at work on a loaded machine too.
        return run(*args, **kwargs, pause=1.5, parts=15)
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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cell_that_memory_has_no_room_for_says_so(store, jobs, runners, workers):
    outcomes = execute(jobs(2, runners.LARGE, 4), workers, lambda _: None)
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "stored", "stored"]
    (job,) = jobs(runners.LARGE)
    assert store.failure(job.cell.key)["message"] == TOO_LITTLE_MEMORY


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
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        execute(jobs(2, runners.FULL, 4), 1, lambda _: None)
    assert conditions(store, jobs(2, runners.FULL, 4)) == ["done", "unfinished", "missing"]


def test_a_damaged_file_of_one_cell_stops_that_cell_alone(store, jobs, runners):
    outcomes = execute(jobs(2, runners.DAMAGED, 4), 1, lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["stored", "failed", "stored"]
    assert outcomes[1].message == "the checkpoint is damaged"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


@pytest.mark.parametrize("when", ["in training", "at the end"])
def test_a_cell_that_was_taken_over_is_neither_saved_nor_stored_nor_failed(store, jobs, runners, monkeypatch, when):
    """This process did not run for long, its lease ended, and another computer computes the cell."""
    lock = Store.lock

    @contextmanager
    def losing(store, key, *, wait, lost):
        with lock(store, key, wait=wait, lost=lost) as has:
            lost.set() if when == "in training" else monkeypatch.setattr(runners, "lost", lost, raising=False)
            yield has

    def loses_at_the_end(*args, **kwargs):
        result = runners.run(*args, **kwargs)
        runners.lost.set()
        return result

    monkeypatch.setattr(Store, "lock", losing)
    (job,) = jobs(2, runner=runners.run if when == "in training" else loses_at_the_end)
    channel = SimpleNamespace(send=lambda _: None, stopping=lambda: False)
    assert compute(job, channel).status == "busy"
    assert store.condition(job.cell.key) == "unfinished"
    assert not (store.workspace(job.cell.key) / "step").exists()


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
def test_what_the_fork_server_imports_starts_neither_threads_nor_cuda():
    """Of all that a process can do before it forks, only imports are safe."""
    code = """
        import os
        import torch

        asked = []
        for module, name in ((torch.cuda, "is_available"), (torch.cuda, "device_count"), (torch.cuda, "_lazy_init")):
            setattr(module, name, lambda *_, name=name: asked.append(name))
        from study.run.fork_server import import_the_study

        import_the_study()
        assert not asked, asked
        assert len(os.listdir("/proc/self/task")) == 1
    """
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # NumPy's threads, which know of forks
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=True)


@pytest.mark.slow
def test_what_every_cell_imports_the_fork_server_has(tmp_path):
    """Of what is imported late, each worker pays for itself."""
    code = """
        import sys
        from pathlib import Path

        from study.design.cell import Cell
        from study.run.fork_server import import_the_study

        import_the_study(compiles=False)
        before = set(sys.modules)
        from study.run.experiment import run_cell
        from study.store.result import write_result

        cell = Cell.from_config(
            {
                "dataset": "mnist_5k",
                "limit": 200,
                "latent_dim": 2,
                "network": {"name": "mlp", "hidden": [8]},
                "seeds": 1,
                "train": {"updates": 3},
                "evaluate": {"draws": 16, "components": [1], "densities": [], "samples": 0, "two_sample_draws": 0},
            }
        )
        folder = Path(sys.argv[1])
        result = run_cell(cell, folder, device="cpu", data_root=None, report=lambda _: None)
        write_result(result, folder / "tree", folder / "weights")
        print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"models", "study"}, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
def test_a_cell_whose_worker_is_killed_twice_fails_alone(store, jobs, runners):
    many = jobs(2, runners.KILLED, 4, runner=runners.slow)
    outcomes = {outcome.key: outcome for outcome in execute(many, 2, lambda _: None)}
    assert [outcomes[job.cell.key].status for job in many] == ["stored", "failed", "stored"]
    reason = store.failure(many[1].cell.key)["message"]
    assert reason == outcomes[many[1].cell.key].message
    assert reason.startswith("its worker process was killed by signal 9, twice, perhaps for its memory; use fewer")
    assert [line[0] for line in calls(store)].count(str(runners.KILLED)) == 2
    assert [line[0] for line in calls(store)].count("2") == 1


@pytest.mark.slow
def test_a_cell_whose_worker_is_killed_once_is_tried_once_more(store, jobs, runners):
    events = []
    many = jobs(2, runners.KILLED_ONCE, 4, runner=runners.slow)
    assert [outcome.status for outcome in execute(many, 2, events.append)] == ["stored"] * 3
    assert conditions(store, many) == ["done"] * 3
    statuses = [event.what.status for event in events if isinstance(event.what, Outcome)]
    assert statuses.count("died") == 1


@pytest.mark.slow
def test_an_error_that_concerns_all_cells_stops_a_pool(jobs, runners):
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        execute(jobs(runners.FULL, 2, 4), 2, lambda _: None)


@pytest.mark.slow
def test_workers_whose_server_is_killed_are_replaced(store, jobs, runners):
    events = []

    def kill_the_server_once(event):
        events.append(event)
        if isinstance(event.what, Progress) and event.what.done == 1 and len(killed) == 0:
            worker = int(calls(store)[0][1])
            killed.append(int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1]))
            os.kill(killed[0], signal.SIGKILL)

    killed = []
    outcomes = execute(jobs(2, 4, 6, runner=runners.slow), 2, kill_the_server_once)
    assert killed[0] != os.getpid()
    assert [outcome.status for outcome in outcomes] == ["stored"] * 3
    assert 1 <= sum(isinstance(event.what, Outcome) and event.what.status == "died" for event in events) <= 2


@pytest.mark.slow
def test_no_task_suffers_from_the_death_of_an_idle_worker():
    with Workers(1, 1) as workers:
        first = workers.submit(os.getpid).result()
        os.kill(first, signal.SIGKILL)
        time.sleep(0.5)
        assert workers.submit(os.getpid).result() != first
        with pytest.raises(WorkerDied, match="exit code 7") as caught:
            workers.submit(os._exit, 7).result()
        assert caught.value.exit_code == 7
        assert workers.submit(os.getpid).result() > 0


@pytest.mark.slow
def test_no_task_suffers_from_the_death_of_the_server_where_its_worker_is_about_to_follow(monkeypatch):
    """A kill reaches the workers after the server has ended; a cell tried once more in between would be given up."""
    with Workers(1, 1) as workers:
        first = workers.submit(os.getpid).result()
        server = workers._server._process
        server.kill()
        server.wait()
        monkeypatch.setattr(multiprocessing.connection.Connection, "poll", lambda line, timeout=0.0: False)
        assert workers.submit(os.getpid).result() != first


@pytest.mark.slow
def test_a_second_signal_ends_a_pool_at_once_and_says_what_was_not_saved(store, jobs, runners):
    outcomes, begun = {}, set()

    def interrupt_twice(event):
        if isinstance(event.what, Outcome):
            outcomes[event.key] = event.what
        elif isinstance(event.what, Progress) and event.what.done == event.what.total:
            begun.add(event.key)
            if len(begun) == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    many = jobs(2, 4, 6, 8, runner=runners.deaf)
    with pytest.raises(Interrupted, match="before 2 cells had saved") as caught:
        execute(many, 2, interrupt_twice)
    assert caught.value.exit_code == 130
    assert outcomes.keys() == {many[0].cell.key, many[1].cell.key}
    assert not any(outcome.saved for outcome in outcomes.values())
    assert "goes on from its checkpoint of " in outcomes[many[0].cell.key].message
    assert outcomes[many[1].cell.key].message == "it has no checkpoint and starts anew"


# Without a main guard, as people write scripts: its workers do not run it again.
SCRIPT = """
import sys
from pathlib import Path

import runners_for_test
from study.design.cell import Cell
from study.errors import StudyError
from study.run.execution import execute
from study.run.job import Job
from study.store.store import Store

store = Store(Path("results/test"))
cells = [Cell.from_config({"latent_dim": latent_dim}) for latent_dim in (2, 4, 6, 8)]
try:
    execute([Job(cell, store, runners_for_test.slower, "cpu", None, "abc", "") for cell in cells], 2, lambda _: None)
except StudyError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def session(leader):
    """Processes of the session, zombies aside."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, its_session, *_ = stat.read_text().rpartition(")")[2].split()
            members += [int(stat.parent.name)] * (int(its_session) == leader and state != "Z")
    return members


@pytest.fixture
def script(tmp_path, store, runners):
    """A run on two workers in a session of its own, when both cells have begun."""
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        while len(calls(store)) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        try:
            yield process
        finally:
            for pid in session(process.pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("stuck", [False, True], ids=["at work", "stuck"])
def test_workers_end_with_their_parent_and_save(store, jobs, script, stuck):
    workers = [int(pid) for _, pid, _ in calls(store)]
    assert len(session(script.pid)) == 4  # the parent, the server, two workers
    if stuck:
        os.kill(workers[0], signal.SIGSTOP)
    os.kill(script.pid, signal.SIGKILL)
    start = time.monotonic()
    # They look each second. A cell that ended of itself would have saved no step, and one that is stuck never ends.
    while session(script.pid) and time.monotonic() - start < 30:
        time.sleep(0.02)
    assert not session(script.pid)
    if not stuck:
        saved = [job for job in jobs(2, 4) if (store.workspace(job.cell.key) / "step").exists()]
        assert len(saved) == 2
    assert [outcome.status for outcome in execute(jobs(2, 4, 6, 8), 1, lambda _: None)] == ["stored"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_whole_group_lets_cells_save(store, jobs, script, signum):
    os.killpg(script.pid, signum)
    out, errors = script.communicate(timeout=60)
    assert (script.returncode, errors) == (128 + signum, "")
    assert out == f"stopped by {signal.Signals(signum).name}; the same command resumes where it stopped\n"
    assert all((store.workspace(job.cell.key) / "step").exists() for job in jobs(2, 4))
    assert not session(script.pid)


def test_a_study_runs_in_a_thread(jobs):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.extend(execute(jobs(2, 4), 1, lambda _: None)))
    thread.start()
    thread.join()
    assert [outcome.status for outcome in outcomes] == ["stored", "stored"]


def test_a_hang_up_that_is_ignored_stays_ignored(jobs):
    handlers = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        execute(jobs(2), 1, lambda _: handlers.append(signal.getsignal(signal.SIGHUP)))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert set(handlers) == {signal.SIG_IGN}


def test_a_terminal_that_is_gone_costs_no_cell(store, jobs):
    def closed(event):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert [outcome.status for outcome in execute(jobs(2, 4), 1, closed)] == ["stored", "stored"]


def test_cells_run_on_any_executor(store, jobs, runners):
    """As on a cluster's: all that is needed is an executor of concurrent.futures and a line to it."""

    class Line:
        def __init__(self):
            self.events = queue.SimpleQueue()
            self.channel = self
            self.asked = threading.Event()
            self.send, self.stopping, self.stop, self.kill = self.events.put, self.asked.is_set, self.asked.set, None

    events = []
    with ThreadPoolExecutor(3) as executor:
        outcomes = run_on(executor, Line(), jobs(2, runners.NAN, 4, 6), events.append, Stop(patience=2))
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "stored", "stored", "stored"]
    assert any(isinstance(event.what, Progress) for event in events)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_shards_partition_the_cells_evenly(count):
    cells = [Cell.from_config({"latent_dim": d}) for d in range(1, 14)]
    shards = [Shard.parse(f"{i}/{count}").of(cells, {}) for i in range(1, count + 1)]
    assert sorted(c.latent_dim for shard in shards for c in shard) == list(range(1, 14))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_shards_take_about_equally_long():
    """One cell as long as all others together has a shard of its own; where one time is unknown, cells count alike."""
    cells = [Cell.from_config({"latent_dim": d}) for d in range(1, 14)]
    seconds = {cell.key: 12.0 if cell.latent_dim == 5 else 1.0 for cell in cells}
    shards = [[c.latent_dim for c in Shard(i, 2).of(cells, seconds)] for i in (1, 2)]
    assert sorted(shards, key=len) == [[5], [d for d in range(1, 14) if d != 5]]
    unknown = seconds | {cells[0].key: None}
    assert sorted(len(Shard(i, 2).of(cells, unknown)) for i in (1, 2)) == [6, 7]
    assert Shard(14, 20).of(cells, seconds) == []


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
