"""Several processes that share each batch: the result of one, whatever ends them, and what is refused.

A process costs seconds to start. What can be compared without one, parts of a batch with the whole, is.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor

from models import noise
from models.pure import pure_pyro
from study.design.cell import Cell
from study.design.cost import LIBRARY_BYTES, Cost
from study.design.families import LIKELIHOODS, NETWORKS, OBJECTIVES, POSTERIORS, PRIORS
from study.design.plan import Plan
from study.errors import ConfigurationError, DataError, EnvironmentFault, ProcessDied
from study.measurement.stored_images import StoredImages
from study.run.building import new_objective, new_vae
from study.run.checking import check
from study.run.execution import resolve_workers
from study.run.experiment import train
from study.run.placement import Placement
from study.run.training import ranks
from study.run.training.batches import Batches
from study.run.training.leader import leading
from study.run.training.ranks import on_loopback
from study.run.training.share import Share
from study.run.training.step import noise_shapes
from study.store.store import Store

ROOT = Path(__file__).parents[4]

IMAGES = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1)).bernoulli().double()

ROUNDING, ROUNDED = 0.02, 0.99
"""Largest difference of this share of the weights in single precision, in steps of the learning rate. Adam moves a
weight by about one step however small its gradient, so that rounding decides the moves of the few weights whose
gradient is nearly nothing; other images or noise make differences of many steps."""


def loss_and_gradient(config: dict[str, object], parts: int) -> tuple[float, Tensor]:
    """Means over the equal parts of a batch, in double precision, of its loss and of the gradient."""
    cell = Cell.from_config({"latent_dim": 3, **config})
    torch.manual_seed(0)
    vae = new_vae(cell, (1, 8, 8), IMAGES[:10].float()).double()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    objective, generator = new_objective(cell), torch.Generator().manual_seed(5)
    draws = [
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in noise_shapes(vae, objective, IMAGES)
    ]
    losses, gradients = [], []
    for rank in range(parts):
        share = Share(rank, parts)
        images = IMAGES[share.rows(len(IMAGES))]
        shapes = noise_shapes(vae, objective, images)
        own = [share.noise(draw, shape, len(IMAGES)) for draw, shape in zip(draws, shapes, strict=True)]
        with noise.replay(own), pure_pyro():
            loss = objective(vae.model, vae.guide, images, 0.7).loss
        found = torch.autograd.grad(loss, list(vae.parameters()), materialize_grads=True)
        losses.append(loss.detach())
        gradients.append(torch.cat([gradient.flatten() for gradient in found]))
    return float(torch.stack(losses).mean()), torch.stack(gradients).mean(0)


def is_mean_of_parts(config: dict[str, object]) -> bool:
    (loss, gradient), (mean_loss, mean_gradient) = (loss_and_gradient(config, parts) for parts in (1, 3))
    return mean_loss == pytest.approx(loss, rel=1e-10) and torch.allclose(mean_gradient, gradient, rtol=1e-8, atol=1e-9)


def of_prior(name: str) -> dict[str, object]:
    return {"prior": name, "posterior": "von_mises_fisher" if PRIORS[name].support == "sphere" else "diagonal_normal"}


PARTS = [
    *(of_prior(name) for name in PRIORS),
    *({"posterior": name} for name in POSTERIORS if name != "von_mises_fisher"),
    *({"likelihood": name} for name in LIKELIHOODS),
    *({"network": name} for name in NETWORKS),
    {"network": {"name": "spatial", "norm": "group"}, "latent_dim": "2x2x2"},
    {"network": {"name": "spatial", "norm": "batch"}, "latent_dim": "2x2x2"},
    *({"objective": name} for name in OBJECTIVES),
    {"objective": {"name": "iwae", "draws": 3}},
    # Between the rates of its parts, where their mean is not that of the whole.
    {"objective": {"name": "capacity", "nats": 17.0}},
    {"objective": {"name": "free_bits", "nats": 4.0}},
]


KINKED = ({"objective": "capacity"}, {"objective": "free_bits"})
"""By their defaults, all parts of this batch lie on one side of a kink."""


@pytest.mark.parametrize("config", PARTS, ids=str)
def test_what_is_the_mean_of_its_parts_may_be_shared(config):
    cell = Cell.from_config({"latent_dim": 3, **config, "train": {"processes": 2}})
    if is_mean_of_parts(config) and config not in KINKED:
        check(cell, (1, 8, 8))
    else:
        with pytest.raises(ConfigurationError, match=r"train\.processes must be 1"):
            check(cell, (1, 8, 8))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"objective": "beta_tcvae"}, "objective beta_tcvae is not a mean over images"),
        ({"prior": "diffusion"}, "prior diffusion draws random numbers for all images of a batch together"),
        ({"network": {"name": "spatial", "norm": "batch"}}, "network spatial normalises over the images of a batch"),
    ],
    ids=["objective", "prior", "network"],
)
def test_a_cell_that_cannot_be_shared_says_why(config, words):
    with pytest.raises(ConfigurationError) as refusal:
        check(Cell.from_config({"latent_dim": 3, **config, "train": {"processes": 2}}), (1, 8, 8))
    assert words in str(refusal.value)
    check(Cell.from_config({"latent_dim": 3, **config}), (1, 8, 8))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"processes": 2, "engine": "compiled"},
            "several processes share a batch with the eager engine alone; use train.engine=eager or auto; got 2",
        ),
        (
            {"processes": 3, "batch_size": 128},
            "train.batch_size = 128 must be a multiple of the processes; change one of them; got 3",
        ),
        ({"processes": 0}, "train.processes must be at least 1"),
    ],
    ids=["engine", "batch", "none"],
)
def test_settings_that_cannot_be_shared_are_refused(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        Cell.from_config({"train": settings})


def test_a_data_set_smaller_than_a_batch_must_be_divisible_too():
    with pytest.raises(
        ConfigurationError, match=r"a batch of 7 images cannot be divided equally among train\.processes=2"
    ):
        Batches(torch.rand(7, 1, 2, 2), [0], 64, [], share=Share(0, 2))


@pytest.mark.parametrize("kind", ["tensor", "function", "stored"])
def test_the_shares_of_a_batch_make_up_the_batch(kind):
    """Images, and noise that belongs to images, to two draws of each, and to none of them; no rank reads another's."""
    source, seen = torch.rand(20, 1, 2, 2), []

    def read(rows: Tensor) -> Tensor:
        seen.append(rows.tolist())
        return source[rows]

    images = {"tensor": source, "function": lambda r, e: source + r + e, "stored": StoredImages(read, 20, (1, 2, 2))}
    whole_shapes, own_shapes = ([torch.Size(s) for s in ((n, 3), (2 * n, 1), (5, 3))] for n in (8, 4))
    whole = Batches(images[kind], [0, 1], 8, whole_shapes)
    parts = [Batches(images[kind], [0, 1], 8, whole_shapes, share=Share(r, 2), own_shapes=own_shapes) for r in (0, 1)]
    for batches in (whole, *parts):
        batches.start_epoch(1)
    for position in range(2):
        read_before = len(seen)
        for batches in (whole, *parts):
            batches.fill(position, 1.0, 1e-3)
        for replicate in (0, 1):
            together = torch.cat([part.batch.images(replicate) for part in parts])
            assert torch.equal(together, whole.batch.images(replicate))
        by_image, by_draw, common = ([part.batch.noise[i] for part in parts] for i in range(3))
        assert torch.equal(torch.cat(by_image, 1), whole.batch.noise[0])
        assert torch.equal(torch.cat([n.unflatten(1, (2, 4)) for n in by_draw], 2).flatten(1, 2), whole.batch.noise[1])
        assert all(torch.equal(each, whole.batch.noise[2]) for each in common)
        if kind == "stored":
            rows = seen[read_before:]
            assert [len(each) for each in rows] == [8, 8, 4, 4, 4, 4]
            assert [rows[2] + rows[4], rows[3] + rows[5]] == rows[:2]


def test_cost_counts_processes():
    one, two, three = (
        Cost.of(Cell.from_config({"train": {"processes": n, "batch_size": 60}}), 10**8, 1_000, 64) for n in (1, 2, 3)
    )
    more = 16 * 10**8 * Cell().seeds + 4 * 1_000 * 64
    assert two.memory - one.memory == more + LIBRARY_BYTES
    assert three.memory - two.memory == more
    assert 1 / 3 < three.seconds / one.seconds < two.seconds / one.seconds < 1
    assert [cost.processes for cost in (one, two, three)] == [1, 2, 3]
    cells = [Cell.from_config({"latent_dim": n, "train": {"processes": n}}) for n in (1, 2, 4)]
    plan = Plan(cells, {cell.key: Cost(1, 1.0, 1.0, processes=cell.train.processes) for cell in cells}, 2)
    assert plan.cores == 6
    assert any(line.startswith("cores: 6") for line in plan.lines())


def test_processes_of_a_cell_count_among_cores_and_gpus(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [resolve_workers("auto", 100, "cpu", processes) for processes in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert resolve_workers("5", 100, "cpu", 4) == 5
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        EnvironmentFault, match=r"train\.processes=2 needs a GPU for each process, and there are 1 here"
    ):
        Placement.of([Cost(1, 0.0, 1.0, processes=2)], "cuda", "1")


MLP = {"network": {"name": "mlp", "hidden": [32]}, "train": {"epochs": 12, "patience": 1, "learning_rate": 0.05}}
CONV = {
    "network": {"name": "conv", "channels": [4, 8]},
    "train": {"epochs": 3, "learning_rate": 1e-3},
    "objective": {"name": "iwae", "draws": 2},
}


def trained(
    config: dict[str, object],
    workspace: Path | None = None,
    report=lambda _: None,
    root: Path | None = None,
    **settings: object,
):
    """Record of a training on 256 digits and the weights of its replicates, both as one is measured."""
    base = {"dataset": "digits", "limit": 256, "latent_dim": 3, "seeds": 2, **config}
    base["train"] = {"batch_size": 32, "engine": "eager", **config["train"], **settings}
    prepared, run = train(Cell.from_config(base), workspace, device="cpu", data_root=root, report=report)
    return run, [torch.cat([tensor.flatten() for tensor in vae.state_dict().values()]) for vae in prepared.vaes]


def assert_alike(weights: list[Tensor], others: list[Tensor], rate: float = 1e-3) -> None:
    assert len(weights) == len(others) == 2
    for own, other in zip(weights, others, strict=True):
        apart = (own - other).abs().double()
        assert float(apart.quantile(ROUNDED)) < ROUNDING * rate
        assert float(apart.max()) < 10 * rate
    assert float((weights[0] - weights[1]).abs().max()) > 10 * rate, "replicates differ"


@pytest.fixture
def each_update(monkeypatch):
    """A report, and a checkpoint, after each update."""
    monkeypatch.setattr("study.run.training.loop.REPORT_SECONDS", 0.0)
    return {"checkpoint_every": 1e-9}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "updates"), [(MLP, 9 * 8), (CONV, 3 * 8)], ids=["mlp, stops early", "conv, two draws"]
)
def test_two_processes_train_what_one_does(config, updates):
    threads = torch.get_num_threads()
    one, expected = trained(config)
    two, weights = trained(config, processes=2)
    assert two.choice == ("eager", "2 processes share each batch", True)
    assert_alike(weights, expected, config["train"]["learning_rate"])
    assert (two.updates, two.images) == (one.updates, one.images)
    for name, curve in one.curves.items():
        assert np.allclose(two.curves[name], curve, rtol=1e-4), name
    assert one.updates == updates
    assert torch.get_num_threads() == threads
    assert not torch.distributed.is_initialized()
    assert not psutil.Process().children(), "it ends the other process"


@pytest.mark.slow
def test_images_stay_in_their_file_in_every_process(tmp_path):
    images = torch.randint(256, (400, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    np.save(tmp_path / "images.npy", images.numpy())
    config = CONV | {"dataset": "npy"}
    _, expected = trained(config, root=tmp_path)
    _, weights = trained(config, root=tmp_path, processes=2)
    assert_alike(weights, expected)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_training_goes_on_with_another_number_of_processes(before, after, tmp_path, each_update):
    _, expected = trained(CONV)
    calls = 0

    def interrupting(progress):
        nonlocal calls
        calls += progress.done > 0
        if calls == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(CONV, tmp_path, interrupting, processes=before)
    assert not psutil.Process().children()
    places = []
    _, weights = trained(CONV, tmp_path, lambda progress: places.append(progress.done), processes=after)
    assert min(places) >= 11
    assert_alike(weights, expected)


@pytest.mark.slow
def test_a_process_that_dies_fails_the_training_which_goes_on_from_its_checkpoint(tmp_path, each_update):
    _, expected = trained(CONV)
    killed = []

    def killing(progress):
        if progress.done == 11 and not killed:
            killed.extend(child for child in psutil.Process().children(recursive=True) if not child.children())
            killed[0].kill()

    began = time.monotonic()
    with pytest.raises(ProcessDied) as failure:
        trained(CONV, tmp_path, killing, processes=4, **each_update)
    assert "one of the 4 processes of the training was lost (its worker process was killed by signal 9)" in str(
        failure.value
    )
    assert "\n" not in str(failure.value)
    assert time.monotonic() - began < 120
    assert not psutil.Process().children()
    places = []
    _, weights = trained(CONV, tmp_path, lambda progress: places.append(progress.done))
    assert min(places) >= 11
    assert_alike(weights, expected)


@pytest.mark.slow
def test_what_keeps_a_process_from_taking_part_is_raised_in_the_first(tmp_path, monkeypatch):
    (tmp_path / "followers_for_test.py").write_text(
        textwrap.dedent("""
        from study.errors import DataError

        def absent(*, seat, channel):
            raise DataError("the images are absent")
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    import followers_for_test

    waited = []
    with pytest.raises(DataError, match="the images are absent"), leading(2, followers_for_test.absent) as leader:
        leader.join(lambda: waited.append(1))
    assert waited
    del sys.modules["followers_for_test"]


@pytest.mark.slow
def test_a_process_that_dies_before_it_is_connected_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "followers_for_test.py").write_text(
        textwrap.dedent("""
        import os
        import signal

        def dying(*, seat, channel):
            channel.send("ready")
            os.kill(os.getpid(), signal.SIGKILL)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ranks, "MEETING", timedelta(seconds=3))
    import followers_for_test

    with pytest.raises(ProcessDied, match="signal 9"), leading(2, followers_for_test.dying) as leader:
        leader.join(lambda: None)
    assert not torch.distributed.is_initialized()
    assert not psutil.Process().children()
    del sys.modules["followers_for_test"]


MEMBER = """
import sys
from pathlib import Path
from study.run.training.ranks import Seat, join
from study.run.training.share import Share

join(Seat(Share(1, 2), Path(sys.argv[1]))).leave()
"""


def test_processes_meet_after_a_meeting_that_failed(tmp_path, monkeypatch):
    """A worker goes on to the next cell after one whose processes have not come together."""
    with on_loopback():
        monkeypatch.setattr(ranks, "MEETING", timedelta(seconds=1))
        with pytest.raises(RuntimeError):
            ranks.join(ranks.Seat(Share(0, 2), tmp_path / "in vain"))
        monkeypatch.setattr(ranks, "MEETING", timedelta(seconds=60))
        with subprocess.Popen([sys.executable, "-c", MEMBER, str(tmp_path / "meeting")], cwd=ROOT) as other:
            try:
                ranks.join(ranks.Seat(Share(0, 2), tmp_path / "meeting")).leave()
                assert other.wait(60) == 0
            finally:
                other.kill()


def test_connections_once_made_are_kept_for_as_long_as_a_measurement_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "MEETING", timedelta(seconds=3))
    with on_loopback():
        alone = ranks.join(ranks.Seat(Share(0, 1), tmp_path / "meeting"))
    try:
        group = torch.distributed.group.WORLD
        assert group._get_backend(torch.device("cpu")).options._timeout == ranks.PATIENCE
    finally:
        alone.leave()


STUDY = [
    "run", "smoke", "latent_dim=3", "prior=standard_normal", "seeds=1", "train.epochs=100000", "train.batch_size=32",
    "train.processes=2", "--workers", "1", "--yes", "--no-report",
]  # fmt: skip


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_command(tmp_path, signum):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "study", *STUDY, "--results", str(tmp_path)],
        env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        listening: list[psutil._common.addr] = []
        while len(others := descendants(process)) < 2 or not (listening := ports(others)):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        assert {address.ip for address in listening} == {"127.0.0.1"}
        time.sleep(3)  # some updates
        process.send_signal(signum)
        process.wait(60)
        _, alive = psutil.wait_procs(others, 30)  # they look each second, and would else wait for a day
        assert not alive
        said = process.stderr.read()
    assert process.returncode == (-signum if signum == signal.SIGKILL else 128 + signum), said
    assert "Traceback" not in said
    if signum != signal.SIGKILL:
        assert "the same command resumes" in said
        (checkpoint,) = Store(tmp_path / "smoke").cells.glob("*.partial/checkpoint.safetensors")
        size = int.from_bytes(checkpoint.read_bytes()[:8], "little")
        header = json.loads(json.loads(checkpoint.read_bytes()[8 : 8 + size])["__metadata__"]["header"])
        assert header["epoch"] > 0


def ports(processes: list[psutil.Process]) -> list[object]:
    """Addresses on which they listen; of those that have ended meanwhile, none."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found += [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    return found
