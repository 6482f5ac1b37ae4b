"""Cells on a Dask cluster end as they do in a pool, whatever becomes of workers, scheduler and command on the way."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr

from study.design.cell import Cell
from study.design.cluster import ClusterOptions
from study.design.study import Study
from study.errors import ConfigurationError, DataError, EnvironmentFault, Interrupted
from study.run.cluster.request import JOB_SYSTEMS, Request
from study.run.execution import execute
from study.run.job import Job, Outcome
from study.run.progress import Progress
from study.run.session import run as run_study
from study.store.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import cluster_runners as runners  # noqa: E402
from dask_processes import DaskProcesses  # noqa: E402


def jobs(store, *latent_dims, runner=runners.run):
    cells = [Cell.from_config({"latent_dim": latent_dim}) for latent_dim in latent_dims]
    return [Job(cell, store, runner, "cpu", None, "abc", "the command") for cell in cells]


def content(store, job):
    """What does not depend on when and where a cell was computed."""
    tree = store.read(job.cell.key)["posterior/rate"].values.tobytes()
    return hashlib.sha256(tree + (store.folder(job.cell.key) / "weights.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = DaskProcesses(tmp_path_factory.mktemp("dask"), cells=2)
    yield started
    started.close()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results" / "test")


@pytest.fixture(params=["a shared folder", "through the scheduler"])
def folders(request, monkeypatch):
    if request.param == "through the scheduler":
        from study.run.cluster import connection

        @contextmanager
        def unseen(store):
            yield "/nowhere/.seen", "a word"

        monkeypatch.setattr(connection, "_nonce", unseen)
    return request.param


def run(cluster, store, todo, watch=lambda _: None, *, check=None):
    from study.run.cluster import connected

    request = Request(scheduler=cluster.address)
    with connected(request, store, 1, check=check, compiles=False) as pool:
        return execute(todo, 1, watch, pool)


@pytest.mark.slow
def test_a_cluster_computes_what_is_computed_here(cluster, store, tmp_path, folders):
    dims = (2, runners.NAN, 4, runners.KILLED_ONCE, runners.KILLED, 6)
    events = []
    many = jobs(store, *dims)
    outcomes = {o.key: o for o in run(cluster, store, many, events.append)}
    statuses = {job.cell.latent_dim: outcomes[job.cell.key].status for job in many}
    failed = {runners.NAN, runners.KILLED}
    assert statuses == {dim: "failed" if dim in failed else "stored" for dim in dims}
    nan, killed = (store.failure(job.cell.key) for job in many if job.cell.latent_dim in failed)
    assert (nan["step"], nan["term"], nan["command"]) == (3, "rate", "the command")
    assert killed["message"].startswith("its worker process was killed by signal 9, twice, perhaps for its memory")
    whole = [job for job in many if job.cell.latent_dim in {2, 4, 6}]
    here = Store(tmp_path / "here")
    execute([replace(job, store=here) for job in whole], 1, lambda _: None)
    assert [content(store, job) for job in whole] == [content(here, job) for job in whole]
    assert store.verify(whole[0].cell.key).command == "the command"
    assert any(isinstance(event.what, Progress) for event in events)
    assert sum(isinstance(event.what, Outcome) and event.what.status == "died" for event in events) == 2
    assert not [*store.cells.glob(".seen*"), *store.cells.glob("*.writing*")]


@pytest.mark.slow
def test_a_program_computes_a_study_on_a_cluster_as_on_this_computer(cluster, tmp_path):
    chosen = Study.load("smoke").override(["latent_dim=2", "seeds=1"])
    there = run_study(chosen, results=tmp_path / "there", scheduler=cluster.address, progress=False)
    here = run_study(chosen, results=tmp_path / "here", workers=1, progress=False)
    for cell in chosen.cells():
        for name in ("aggregate", "realism"):
            pair = [store.read(cell.key)[name].to_dataset() for store in (there, here)]
            xr.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-6)  # sums run in another order elsewhere


def test_a_program_is_refused_a_cluster_as_the_command_is(tmp_path):
    for arguments, says in (
        ({"scheduler": "tcp://127.0.0.1:1", "cluster": "local"}, "got both"),
        ({"scheduler": "tcp://10.0.0.1:8786"}, "--insecure"),
        ({"cluster": "slurm"}, "needs --workers N"),
        ({"tls_ca": tmp_path / "ca.pem"}, "belong to --scheduler"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            run_study("smoke", results=tmp_path, **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_signal_lets_cells_save_and_the_same_command_resumes(cluster, store, folders):
    sent = []

    def interrupt(event):
        if isinstance(event.what, Progress) and event.what.done >= 1 and not sent:
            sent.append(event.key)
            os.kill(os.getpid(), signal.SIGINT)

    many = jobs(store, *range(20, 30), runner=runners.slow)
    with pytest.raises(Interrupted, match="the same command resumes"):
        run(cluster, store, many, interrupt)
    steps = {job.cell.key: store.workspace(job.cell.key) / "step" for job in many}
    saved = {key: int(step.read_text()) for key, step in steps.items() if step.exists()}
    assert saved[sent[0]] >= 1
    assert 1 <= len(saved) <= 2
    assert {store.condition(job.cell.key) for job in many if job.cell.key not in saved} <= {"missing", "unfinished"}
    again = jobs(store, *range(20, 30))
    outcomes = run(cluster, store, again) if "scheduler" in folders else execute(again, 1, lambda _: None)
    assert {o.status for o in outcomes} == {"stored"}
    assert {key: store.verify(key).details["started_at_step"] for key in saved} == saved


@pytest.mark.slow
def test_a_second_signal_does_not_wait(cluster, store):
    heard = []

    def interrupt_twice(event):
        if isinstance(event.what, Progress) and not heard:
            heard.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match=r"before . cells? had saved"):
        run(cluster, store, jobs(store, 30, 31, 32, runner=runners.deaf), interrupt_twice)
    assert time.monotonic() - heard[0] < 20


@pytest.mark.slow
def test_a_worker_with_other_images_or_versions_takes_no_cell(cluster, store, monkeypatch):
    from study.run.cluster import connection

    with pytest.raises(DataError, match="the images are others"):
        run(cluster, store, jobs(store, 2), check=runners.other_images)
    assert store.condition(jobs(store, 2)[0].cell.key) == "missing"
    here = connection.worker.terms()
    for name, value, said in (
        ("torch", "0.1", "other versions: torch .* instead of 0.1"),
        ("source files", "", "source"),
    ):
        monkeypatch.setattr(connection.worker, "terms", lambda name=name, value=value: here | {name: value})
        with pytest.raises(EnvironmentFault, match=said):
            run(cluster, store, jobs(store, 2))


@pytest.mark.slow
def test_a_lost_worker_and_a_lost_scheduler_cost_no_cell(tmp_path, store):
    """A worker that is lost goes unnoticed; a scheduler ends the run in one sentence, and the same command resumes."""
    many = jobs(store, *range(20, 26), runner=runners.slow)
    first = DaskProcesses(tmp_path, 2)
    ended = []

    def kill_one_then_the_scheduler(event):
        if isinstance(event.what, Progress) and first.workers[0].poll() is None:
            first.workers[0].kill()
            first.workers[0].wait()
        elif isinstance(event.what, Outcome) and event.what.status == "stored":
            ended.append(event.key)
            if len(ended) == 2:
                first.scheduler.kill()

    try:
        with pytest.raises(EnvironmentFault, match="is lost; the same command resumes where it stopped") as caught:
            run(first, store, many, kill_one_then_the_scheduler)
    finally:
        first.close()
    assert caught.value.exit_code == 4
    (tmp_path / "second").mkdir()
    second = DaskProcesses(tmp_path / "second")
    try:
        outcomes = run(second, store, jobs(store, *range(20, 26)))
    finally:
        second.close()
    assert {o.status for o in outcomes} == {"present", "stored"}
    here = Store(tmp_path / "pool")
    execute(jobs(here, *range(20, 26)), 1, lambda _: None)
    assert [content(store, job) for job in many] == [content(here, job) for job in jobs(here, *range(20, 26))]


@pytest.mark.long
def test_workers_that_die_and_a_scheduler_that_is_lost_change_no_bit(tmp_path, store):
    """After every third cell a worker is killed and another joins, and halfway the scheduler is killed."""
    dims = range(20, 44)
    many = jobs(store, *dims, runner=runners.slow)
    ended = []

    def disturb(cluster, event):
        if isinstance(event.what, Outcome) and event.what.status == "stored":
            ended.append(event.key)
            if len(ended) == 12:
                cluster.scheduler.kill()
            elif len(ended) % 3 == 0:
                cluster.workers.pop(0).kill()
                cluster.workers.append(cluster.worker())

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        cluster = DaskProcesses(tmp_path / name, 3)
        try:
            if name == "first":
                with pytest.raises(EnvironmentFault, match="is lost; the same command resumes"):
                    run(cluster, store, many, lambda event, cluster=cluster: disturb(cluster, event))
            else:
                outcomes = run(cluster, store, many, lambda event, cluster=cluster: disturb(cluster, event))
        finally:
            cluster.close()
    assert {outcome.status for outcome in outcomes} == {"present", "stored"}
    pool = Store(tmp_path / "pool")
    execute(jobs(pool, *dims), 2, lambda _: None)
    assert [content(store, job) for job in many] == [content(pool, job) for job in jobs(pool, *dims)]


LOCAL = """
import asyncio, socket, sys
from pathlib import Path
import psutil
sys.path.insert(0, sys.argv[1])
import cluster_runners
from distributed import Client
from study.design.cell import Cell
from study.design.cluster import ClusterOptions
from study.run.cluster import connected
from study.run.cluster.request import Request
from study.run.execution import execute
from study.run.job import Job
from study.store.store import Store

if __name__ == "__main__":
    store = Store(Path("results/test"))
    request = Request(kind="local", options=ClusterOptions(resources={"GPU": 1}))
    with connected(request, store, 1, check=None, compiles=False) as pool:
        this = psutil.Process()
        ports = [c for p in (this, *this.children(recursive=True)) for c in p.net_connections() if c.status == "LISTEN"]
        print(sorted({port.laddr.ip for port in ports}))
        try:
            Client(pool._client.scheduler.address.replace("tls", "tcp"), timeout=2)
        except (OSError, ValueError) as error:
            print("refused")
        cell = Cell.from_config({"latent_dim": 2})
        job = Job(cell, store, cluster_runners.run, "cpu", None, "", "")
        print(execute([job], 1, print, pool)[0].status)
"""


@pytest.mark.slow
def test_a_cluster_that_is_started_here_listens_here_alone_and_to_its_own(tmp_path):
    """With certificates of its own, without a page, with resources by name, and without a word of Dask's."""
    (tmp_path / "program.py").write_text(LOCAL)
    command = [sys.executable, "program.py", str(HERE)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[2]), str(HERE)])}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path, env=environment
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[:2], lines[-1]) == (0, ["['127.0.0.1']", "refused"], "stored"), done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("request_", "workers", "says"),
    [
        (Request(scheduler="tcp://127.0.0.1:1", kind="local"), "auto", "got both"),
        (Request(scheduler="tcp://10.0.0.1:8786"), "auto", "--insecure"),
        (Request(scheduler="tcp://head:8786"), "auto", "--tls-ca"),
        (Request(scheduler="ucx://127.0.0.1:1"), "auto", "tcp://HOST:PORT"),
        (Request(scheduler="tcp://[::1"), "auto", "tcp://HOST:PORT"),
        (Request(scheduler="nowhere.json"), "auto", "is absent"),
        (Request(scheduler="tcp://127.0.0.1:1"), "4", "leave out --workers"),
        (Request(kind="local", insecure=True), "2", "leave them out"),
        (Request(kind="local", options=ClusterOptions(queue="a")), "2", "cluster.queue is for a job system"),
        (Request(kind="slurm"), "auto", "needs --workers N"),
        (Request(kind="os.system"), "2", "unknown cluster"),
        (Request(scheduler="tls://head:1", ca=Path("nowhere.pem")), "auto", "PEM"),
    ],
)
def test_what_does_not_go_together_is_refused(request_, workers, says):
    with pytest.raises(ConfigurationError, match=says):
        request_.check(workers)


@pytest.mark.parametrize(
    "request_",
    [
        Request(scheduler="tcp://localhost:8786"),
        Request(scheduler="tcp://[::1]:8786"),
        Request(scheduler="tls://head:8786"),
        Request(scheduler="tcp://head:8786", insecure=True),
    ],
)
def test_what_is_safe_or_said_to_be_is_taken(request_):
    request_.check("auto")


def test_a_schedulers_file_is_read_as_data(tmp_path):
    path = tmp_path / "scheduler.json"
    path.write_text('{"type": "Scheduler", "address": "tcp://127.0.0.1:8786", "workers": {}}')
    assert Request(scheduler=str(path)).address() == "tcp://127.0.0.1:8786"
    path.write_text('{"address": "tcp://10.1.2.3:8786"}')
    with pytest.raises(ConfigurationError, match="--insecure"):
        Request(scheduler=str(path)).address()


def test_options_come_from_the_file_and_the_command_and_are_part_of_no_key():
    document = {"factors": {"latent_dim": [2, 4]}, "cluster": {"queue": "normal", "directives": ["--gres=gpu:1"]}}
    study = Study.from_document("a", document, "a.yaml")
    changed = study.override(["cluster.queue=gpu", "cluster.resources={GPU: 1}", "cluster.threads=2"])
    assert changed.cluster == ClusterOptions(
        queue="gpu", directives=("--gres=gpu:1",), resources={"GPU": 1.0}, threads=2
    )
    plain = Study.from_document("a", {"factors": document["factors"]}, "a.yaml")
    assert [c.key for c in changed.cells()] == [c.key for c in plain.cells()]
    with pytest.raises(ConfigurationError, match="one value"):
        study.override(["cluster.queue=a,b"])


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("cluster.queue=a;b", "one word"),
        ('cluster.directives=["--a\\nrm -rf"]', "one line"),
        ("cluster.directives=[rm]", "one line"),
        ("cluster.cls=os.system", "unknown setting"),
        ("cluster.threads=0", "cluster.threads"),
        ("cluster.resources={GPU: -1}", "cluster.resources"),
    ],
)
def test_options_that_could_be_commands_are_refused(assignment, says):
    with pytest.raises(ConfigurationError, match=says):
        Study.load("smoke").override([assignment])


@pytest.mark.slow
@pytest.mark.parametrize("kind", JOB_SYSTEMS)
def test_the_script_of_a_job_asks_for_what_the_study_does(tmp_path, kind):
    from study.run.cluster.connection import job_cluster

    options = ClusterOptions(
        queue="gpu", account="vae", walltime="01:00:00", memory="8GB", threads=2, resources={"GPU": 1},
        directives=("--gres=gpu:1",), interface="lo", folder=str(tmp_path),
    )  # fmt: skip
    with job_cluster(Request(kind=kind, options=options)) as cluster:
        script = cluster.job_script()
    for word in ("gpu", "vae", "--gres=gpu:1", "--nthreads 1", "--resources GPU=1", "tls://", str(tmp_path)):
        assert word in script, word
    assert sys.executable in script


def test_the_handler_of_an_interrupt_stays_as_it_was():
    """Importing dask-jobqueue sets one that ends the process with code 0."""
    program = """
import signal
before = signal.getsignal(signal.SIGINT)
import study.run.cluster.connection
assert signal.getsignal(signal.SIGINT) is before
import dask_jobqueue.runner
assert signal.getsignal(signal.SIGINT) is before
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_run_on_one_computer_imports_no_dask():
    code = "import sys, study.run.launch, study.cli.run; print(sorted({'dask', 'distributed'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"
