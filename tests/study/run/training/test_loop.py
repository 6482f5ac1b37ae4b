"""Training runs: progress, resumption bit for bit, failure, early stopping, and the choice of engine."""

import json
import logging
import math
import os
import re
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from analysis.randomness import stream
from models import noise
from models.objectives import Objective
from models.pure import pure_pyro
from models.vae import VAE
from study.design.cell import Cell, Train
from study.design.families import OBJECTIVES, PRIORS
from study.errors import ConfigurationError, TrainingFailed
from study.run.building import new_objective, new_vae
from study.run.data.binarisation import redraw
from study.run.progress import Progress
from study.run.training import Fit, choice, fit, loop, updates
from study.run.training import fit as fit_function
from study.run.training.batches import Batches
from study.run.training.checkpoint import FILE_NAME, PREVIOUS, _digest
from study.run.training.eager import EagerEngine
from study.run.training.evaluation import HeldOut
from study.run.training.schedule import Course, generative, latent_scale, learning_rate
from study.run.training.share import Share
from study.run.training.state import State
from study.run.training.step import Batch, noise_shapes
from study.run.training.updates import Updates

GREY = torch.rand(70, 1, 8, 8, generator=torch.Generator().manual_seed(1))
HELD_OUT = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(2)).bernoulli()


def images(replicate: int, epoch: int) -> Tensor:
    return redraw(GREY, replicate=replicate, epoch=epoch).to(torch.uint8)


MLP: dict[str, object] = {"name": "mlp", "hidden": [32]}


def run(
    train: dict[str, object], *, prior: str = "standard_normal", network: dict[str, object] = MLP, **options
) -> tuple[Fit, list[Tensor]]:
    cell = Cell.from_config(
        {"latent_dim": 3, "prior": prior, "network": network,
         "train": {"epochs": 6, "batch_size": 16, "engine": "eager"} | train}
    )  # fmt: skip
    vaes = []
    for seed in range(2):
        torch.manual_seed(seed)
        vaes.append(new_vae(cell, (1, 8, 8), GREY[:10]))
    result = fit(vaes, new_objective(cell), options.pop("images", images), HELD_OUT, cell.train, **options)
    return result, [parameter.detach() for vae in vaes for parameter in vae.parameters()]


def test_waiting_for_a_device_is_time_of_the_updates(monkeypatch):
    """On a GPU an update is asked for at once and made later: what then is waited for counts, too."""
    checked = loop._Run._checked

    def late(session):
        time.sleep(0.05)
        return checked(session)

    monkeypatch.setattr(loop._Run, "_checked", late)
    result, _ = run({"epochs": 6})
    assert result.seconds >= 6 * 0.05


def test_convolutions_keep_fp32_while_training(eager_reports):
    assert torch.backends.cudnn.allow_tf32, "torch's default"
    seen = []
    run({}, report=lambda progress: seen.append(torch.backends.cudnn.allow_tf32))
    assert seen
    assert not any(seen)
    assert torch.backends.cudnn.allow_tf32, "which is put back"


class Interrupting:
    """A report that asks the run to stop at its n-th call, as a signal handler would."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, progress: Progress) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def eager_reports(monkeypatch):
    monkeypatch.setattr("study.run.training.loop.REPORT_SECONDS", 0.0)


def test_curves_have_one_row_per_epoch_and_fall():
    result, _ = run({"epochs": 40, "learning_rate": 1e-2})
    assert {len(values) for values in result.curves.values()} == {40}
    assert all(len(row) == 2 for row in result.curves["loss"])
    assert sum(result.curves["loss"][-1]) < 0.99 * sum(result.curves["loss"][0])
    last = [result.curves[name][-1] for name in ("loss", "rate", "distortion")]
    for loss, rate, distortion in zip(*last, strict=True):
        assert loss == pytest.approx(rate + distortion, rel=1e-5)
    assert result.images == 2 * 16 * (4 * 40 - 1), "the update that builds the engine is left out of the throughput"


IN_UPDATES = {"updates": 22, "epochs": "none", "schedule": "cosine"}
"""Of 4 updates an epoch: the sixth is cut short."""


@pytest.mark.parametrize("at", [1, 2, 4, 11, 17])
@pytest.mark.parametrize("options", [{}, {"patience": 3}, {"replicates": "one_by_one"}, IN_UPDATES], ids=str)
def test_interrupted_run_resumes_bit_for_bit(at, options, tmp_path, eager_reports):
    whole, expected = run(options, prior="vamp")
    with pytest.raises(KeyboardInterrupt):
        run(options, prior="vamp", workspace=tmp_path, report=Interrupting(at))
    assert (tmp_path / FILE_NAME).exists()
    resumed, parameters = run(options, prior="vamp", workspace=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))
    assert repr(resumed.curves) == repr(whole.curves)


@pytest.mark.parametrize("options", [{}, {"patience": 1, "learning_rate": 0.5}], ids=["to the end", "stalled"])
def test_a_run_that_is_stopped_after_its_training_has_it_saved(options, tmp_path):
    whole, expected = run(options, workspace=tmp_path)
    again, parameters = run(options, workspace=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))
    assert repr(again.curves) == repr(whole.curves)
    assert again.images == whole.images, "nothing is trained twice"
    assert again.cpu_seconds > whole.cpu_seconds > 0, "the time before the stop is counted"


def test_a_run_stopped_between_two_epochs_goes_on_from_there(tmp_path, eager_reports):
    with pytest.raises(KeyboardInterrupt):
        run({}, workspace=tmp_path, report=Interrupting(4))
    reports = []
    run({}, workspace=tmp_path, report=reports.append)
    assert reports[0].done == 5


@pytest.mark.parametrize(("updates", "epochs"), [(1, 1), (4, 1), (5, 2), (22, 6)])
def test_a_training_in_updates_makes_as_many(updates, epochs, tmp_path, eager_reports):
    reports = []
    result, _ = run({"updates": updates, "epochs": "none"}, workspace=tmp_path, report=reports.append)
    assert [report.done for report in reports] == list(range(1, updates + 1))
    assert {report.total for report in reports} == {updates} == {result.updates}
    assert {len(values) for values in result.curves.values()} == {epochs}
    assert all(math.isfinite(value) for value in result.curves["held_out_loss"][-1])
    again, _ = run({"updates": updates, "epochs": "none"}, workspace=tmp_path)
    assert again.updates == updates


def test_updates_are_those_of_as_many_epochs():
    in_epochs, in_updates = run({"epochs": 3}), run({"epochs": "none", "updates": 12})
    assert all(torch.equal(a, b) for a, b in zip(in_epochs[1], in_updates[1], strict=True))
    assert in_epochs[0].updates == in_updates[0].updates == 12


def test_the_cosine_falls_over_the_updates_that_are_made():
    course = Course(Train(updates=10, schedule="cosine", learning_rate=1.0), num_images=300, beta=2.0)
    assert [course.length(epoch) for epoch in range(course.epochs)] == [2] * 5
    assert [round(course.at(update).learning_rate, 3) for update in (0, 5, 9)] == [1.0, 0.5, 0.024]
    assert course.at(0).latent_scale == 2.0


def test_cycles_that_do_not_fit_into_updates_are_refused():
    with pytest.raises(ConfigurationError, match=r"train\.kl_cycles: .* fit into 10 updates"):
        Course(Train(updates=10, kl_warmup=3, kl_cycles=3), num_images=300, beta=1.0)


@pytest.mark.parametrize("engine", ["traced", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_run_of_a_graph_resumes_bit_for_bit(engine, tmp_path, monkeypatch, eager_reports):
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path / "cache"))
    _, expected = run({"engine": engine})
    with pytest.raises(KeyboardInterrupt):
        run({"engine": engine}, workspace=tmp_path, report=Interrupting(9))
    resumed, parameters = run({"engine": engine}, workspace=tmp_path)
    assert resumed.choice.engine == engine
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))


def test_checkpoint_keeps_the_engine_it_was_begun_with(tmp_path, eager_reports):
    with pytest.raises(KeyboardInterrupt):
        run({}, workspace=tmp_path, report=Interrupting(3))
    resumed, _ = run({"engine": "auto"}, workspace=tmp_path)
    assert resumed.choice.engine == "eager"
    assert resumed.choice.reason == "asked for"


def flip(path, at=-9):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def rewrite(path, *, header=None, tensors=None):
    """Another header or tensors under a digest that is right."""
    with safe_open(path, framework="pt") as file:
        old, held = file.metadata()["header"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text, held = old if header is None else header(json.loads(old)), tensors(held) if tensors else held
    save_file(held, path, metadata={"header": text, "digest": _digest(text, held)})


DAMAGE = {
    "a bit of a tensor flipped": (flip, "other bytes than were written"),
    "a bit of the header flipped": (lambda p: flip(p, p.read_bytes().index(b"position") + 12), "other bytes|readable"),
    "a bit of the digest flipped": (lambda p: flip(p, p.read_bytes().index(b"digest") + 12), "other bytes|readable"),
    "no checkpoint": (lambda p: p.write_bytes(b"not a checkpoint"), "not readable"),
    "emptied": (lambda p: p.write_bytes(b""), "not readable"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:-1]), "not readable"),
    "without a digest": (
        lambda p: save_file({"x": torch.ones(2)}, p, metadata={"header": "{}"}), "other bytes than were written"
    ),
    "a header without groups": (lambda p: rewrite(p, header=lambda h: json.dumps({"identity": "this"})), "other"),
    "a header that is a list": (lambda p: rewrite(p, header=lambda h: "[]"), "not readable"),
    "a header too deep": (lambda p: rewrite(p, header=lambda h: "[" * 200_000), "not readable"),
    "a position beyond the end": (
        lambda p: rewrite(p, header=lambda h: json.dumps(h | {"epoch": 10**400})), "of another length"
    ),
    "an unknown engine": (
        lambda p: rewrite(p, header=lambda h: json.dumps(h | {"choice": ["quantum", "", True]})), "unknown engine"
    ),
    "a tensor too few": (
        lambda p: rewrite(p, tensors=lambda t: {n: x for n, x in t.items() if "count" not in n}), "of another"
    ),
    "a tensor of another type": (
        lambda p: rewrite(p, tensors=lambda t: t | {"group0/count": t["group0/count"].float()}), "another configuration"
    ),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "no regular file"),
    "a pipe": (lambda p: (p.unlink(), os.mkfifo(p)), "no regular file"),
    "a link to nothing": (lambda p: (p.unlink(), p.symlink_to("nowhere")), "absent"),
    "a link to a device": (lambda p: (p.unlink(), p.symlink_to("/dev/zero")), "no regular file"),
}  # fmt: skip


@pytest.fixture
def interrupted(tmp_path, eager_reports):
    """A workspace with two checkpoints of a run that was stopped twice."""
    workspace = tmp_path / "key.partial"
    workspace.mkdir()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run({}, workspace=workspace, report=Interrupting(5), identity="this")
    assert sorted(path.name for path in workspace.iterdir()) == sorted([FILE_NAME, PREVIOUS])
    return workspace


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_taken(interrupted, damage, caplog):
    _, expected = run({})
    harm, reason = DAMAGE[damage]
    harm(interrupted / FILE_NAME)
    before = (interrupted / PREVIOUS).read_bytes()
    reports = []
    _, parameters = run({}, workspace=interrupted, identity="this", report=reports.append)
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))
    assert reports[0].done == 6, "it goes on where the checkpoint before was written"
    (aside,) = interrupted.parent.glob("key.corrupt-*")
    assert [path.name for path in aside.iterdir()] == [FILE_NAME]
    assert len(before) > 0
    assert re.search(f"set aside as .*key.corrupt-1.*({reason})", caplog.text)


@pytest.mark.parametrize("damage", ["a bit of a tensor flipped", "emptied", "a header that is a list"])
def test_without_a_sound_checkpoint_the_cell_starts_anew(interrupted, damage):
    _, expected = run({})
    for name in (FILE_NAME, PREVIOUS):
        DAMAGE[damage][0](interrupted / name)
    reports = []
    _, parameters = run({}, workspace=interrupted, identity="this", report=reports.append)
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))
    assert reports[0].done == 1
    assert len(list(interrupted.parent.glob("key.corrupt-*"))) == 2


FOREIGN = {
    "of another key": {"identity": "that"},
    "of no key": {"identity": ""},
    "with another prior": {"identity": "this", "prior": "gaussian_mixture"},
}


@pytest.mark.parametrize("options", FOREIGN.values(), ids=FOREIGN)
def test_a_checkpoint_of_another_cell_is_not_resumed(interrupted, options, caplog):
    prior = options.get("prior", "standard_normal")
    _, expected = run({}, prior=prior)
    _, parameters = run({}, workspace=interrupted, **options)
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))
    assert len(list(interrupted.parent.glob("key.corrupt-*"))) == 2
    assert "another" in caplog.text


def test_a_crash_while_saving_leaves_the_two_checkpoints_before(interrupted, monkeypatch):
    before = {path.name: path.read_bytes() for path in interrupted.iterdir()}

    def crash(*_, **__):
        raise RuntimeError("power cut")

    monkeypatch.setattr("study.run.training.checkpoint.save_file", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        run({}, workspace=interrupted, identity="this")
    assert {path.name: path.read_bytes() for path in interrupted.iterdir()} == before


def test_checkpoints_are_readable_to_whom_the_umask_lets(interrupted):
    assert {path.stat().st_mode & 0o777 for path in interrupted.iterdir()} == {usual_mode(interrupted)}


def usual_mode(folder):
    (folder / "usual").touch()
    mode = (folder / "usual").stat().st_mode & 0o777
    (folder / "usual").unlink()
    return mode


@pytest.mark.parametrize(("poison", "term"), [("rate", "rate"), ("distortion", "distortion")])
def test_a_term_that_is_not_finite_fails_with_its_step(poison, term, monkeypatch):
    from models.objectives.elbo import ELBO

    original, calls = ELBO.__call__, []

    def poisoned(self, *args):
        terms = original(self, *args)
        calls.append(1)
        if len(calls) <= 2 * 3:
            return terms
        bad = getattr(terms, poison) * float("nan")
        return terms._replace(**{poison: bad, "loss": terms.loss * float("nan")})

    monkeypatch.setattr(ELBO, "__call__", poisoned)
    monkeypatch.setattr("study.run.training.updates.noise_shapes", lambda *a: [torch.Size((16, 3))])
    with pytest.raises(TrainingFailed) as failure:
        run({})
    assert failure.value.step == 3
    assert term in failure.value.term


def test_early_stopping_keeps_the_best_parameters():
    """A learning rate that wrecks the model: what is kept is the best epoch and not the last."""
    result, _ = run({"epochs": 200, "patience": 3, "learning_rate": 0.05})
    held_out = [min(row) for row in zip(*result.curves["held_out_loss"], strict=True)]
    assert len(result.curves["loss"]) < 200
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [32]}})
    vaes = []
    for seed in range(2):
        torch.manual_seed(seed)
        vaes.append(new_vae(cell, (1, 8, 8), GREY[:10]))
    train = Train(epochs=200, batch_size=16, engine="eager", patience=3, learning_rate=0.05)
    fit_function(vaes, new_objective(cell), images, HELD_OUT, train)
    assert HeldOut(vaes, HELD_OUT, patience=None).evaluate() == pytest.approx(held_out, rel=1e-6)


def test_held_out_loss_is_the_negative_elbo_whatever_beta():
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [32]}})
    vae, objective = new_vae(cell, (1, 8, 8)), new_objective(cell)
    (loss,) = HeldOut([vae], HELD_OUT, patience=None).evaluate()
    draws = [torch.randn(30, 3, generator=stream(0, "held-out loss"))]
    with torch.no_grad(), noise.replay(draws), pure_pyro():
        terms = objective(vae.model, vae.guide, HELD_OUT)
    assert loss == pytest.approx(float((terms.rate + terms.distortion).mean()), rel=1e-6)


def test_shapes_of_noise_are_found_once_for_each_number_of_images(monkeypatch):
    """To find them takes as long as an evaluation does."""
    seen = []

    def counted(vae, objective, images):
        seen.append(len(images))
        return noise_shapes(vae, objective, images)

    monkeypatch.setattr("study.run.training.evaluation.noise_shapes", counted)
    monkeypatch.setattr("study.run.training.evaluation._CHUNK", 12)
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [32]}})
    held_out = HeldOut([new_vae(cell, (1, 8, 8)) for _ in range(2)], HELD_OUT, patience=None)
    held_out.evaluate()
    held_out.evaluate()
    assert seen == [12, 6]


def test_beta_trades_rate_for_distortion():
    low, _ = run({"epochs": 60, "learning_rate": 1e-2}, beta=0.05)
    high, _ = run({"epochs": 60, "learning_rate": 1e-2}, beta=4.0)
    assert min(low.curves["rate"][-1]) > 3 * max(high.curves["rate"][-1])
    assert max(low.curves["distortion"][-1]) < min(high.curves["distortion"][-1])


def test_a_short_run_goes_eager_and_says_why(caplog):
    with caplog.at_level(logging.INFO, logger="study.run.training.loop"):
        result, _ = run({"engine": "auto", "epochs": 1})
    assert result.choice.engine == "eager"
    assert "too few" in result.choice.reason
    assert "too few" in caplog.text


def new_trial(
    config: dict[str, object], batch_size: int = 16, replicates: int = 1
) -> tuple[list[VAE], Objective, Batch]:
    cell = Cell.from_config({"latent_dim": 4, "network": {"name": "mlp", "hidden": [32]}} | config)
    torch.manual_seed(0)
    vaes, objective = [new_vae(cell, (1, 8, 8), GREY[:10]) for _ in range(replicates)], new_objective(cell)
    pixels = GREY.bernoulli().repeat(math.ceil(batch_size / len(GREY)), 1, 1, 1)
    batches = Batches(pixels, range(replicates), batch_size, noise_shapes(vaes[0], objective, pixels[:batch_size]))
    batches.start_epoch(0)
    batches.fill(0, 1.0, 1e-3)
    return vaes, objective, batches.batch


def fixed_seconds(config: dict[str, object], batch_size: int = 16) -> float:
    vaes, objective, batch = new_trial(config, batch_size)
    few = choice._of_few_images(vaes, objective, batch)
    return choice._seconds(EagerEngine(vaes, objective, State.initial(vaes), few))


def test_what_a_trace_may_save_does_not_grow_with_the_products():
    config = {"network": {"name": "mlp", "hidden": [1000]}}
    few, many = (min(fixed_seconds(config, size) for _ in range(3)) for size in (2, 2048))
    assert many < 3 * few


@pytest.mark.parametrize("family", ["objective", "prior"])
def test_every_part_can_be_tried_on_few_images(family):
    members = {"objective": OBJECTIVES, "prior": PRIORS}[family]
    for name in members:
        if name != "hypersphere":  # which needs its own posterior
            assert fixed_seconds({family: name}) > 0, name


@pytest.mark.parametrize(
    ("engine", "limits"),
    [
        ("eager", {}),
        ("eager", {"_TRACE_SECONDS": -1.0, "_seconds": lambda *_, **__: 1e-9}),  # where a trace is no faster
        ("traced", {"_TRACE_SECONDS": -1.0}),
    ],
)
def test_probing_leaves_no_trace(monkeypatch, engine, limits):
    """What is chosen trains exactly as what was asked for."""
    _, asked = run({"engine": engine, "epochs": 2})
    # A process that has compiled an earlier test's program takes a compiler to cost nothing.
    for name, value in {"any_built": lambda: False, **limits}.items():
        monkeypatch.setattr(choice, name, value)
    result, chosen = run({"engine": "auto", "epochs": 2})
    assert result.choice.engine == engine, result.choice.reason
    assert all(torch.equal(a, b) for a, b in zip(asked, chosen, strict=True))


def test_a_compiler_is_tried_where_it_pays(monkeypatch):
    for name, value in {"_TRACE_SECONDS": -1.0, "_COMPILED_SAVING": 1e9}.items():
        monkeypatch.setattr(choice, name, value)
    vaes, objective, batch = new_trial({})
    chosen = choice.choose(
        vaes, objective, State.initial(vaes), batch, asked="auto", updates=1000, programs=1, bf16=False
    )
    assert chosen.engine == "compiled"
    assert "for a build of about" in chosen.reason


def test_random_state_of_the_caller_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    cell_state = torch.get_rng_state()
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [8]}})
    vaes = [new_vae(cell, (1, 8, 8))]
    torch.set_rng_state(cell_state)
    fit(vaes, new_objective(cell), images, HELD_OUT, Train(epochs=1, engine="eager"))
    assert torch.equal(torch.rand(3), expected)


def test_replicates_share_order_binarisation_and_noise_across_cells():
    """Common random numbers: replicate r draws the same whatever the cell and whoever is trained beside it."""
    shapes = [torch.Size((16, 3))]
    both, second = Batches(images, [0, 1], 16, shapes), Batches(images, [1], 16, shapes)
    for epoch in range(2):
        for batches in (both, second):
            batches.start_epoch(epoch)
        for position in range(both.updates_per_epoch):
            for batches in (both, second):
                batches.fill(position, 1.0, 1e-3)
            assert torch.equal(both.batch.images(1), second.batch.images(0))
            assert torch.equal(both.batch.noise[0][1], second.batch.noise[0][0])
            assert not torch.equal(both.batch.noise[0][0], both.batch.noise[0][1])


def test_an_epoch_sees_each_image_at_most_once():
    batches = Batches(torch.arange(70.0).reshape(70, 1, 1, 1), [0], 16, [])
    batches.start_epoch(0)
    seen = []
    for position in range(batches.updates_per_epoch):
        batches.fill(position, 1.0, 1e-3)
        seen += batches.batch.images(0).flatten().tolist()
    assert len(seen) == len(set(seen)) == 64


def test_schedules():
    once = {"beta": 2.0, "warmup_updates": 4, "cycle_updates": 20}
    assert latent_scale(0, **once) == 0.5
    assert latent_scale(3, **once) == latent_scale(9, **once) == 2.0
    assert latent_scale(0, beta=2.0, warmup_updates=0, cycle_updates=20) == 2.0
    cycles = [latent_scale(update, beta=2.0, warmup_updates=2, cycle_updates=5) for update in range(12)]
    assert cycles == [1.0, 2.0, 2.0, 2.0, 2.0] * 2 + [1.0, 2.0]
    assert learning_rate(7, start=1e-3, num_updates=10, schedule="constant") == 1e-3
    assert learning_rate(0, start=1e-3, num_updates=10, schedule="cosine") == 1e-3
    assert learning_rate(5, start=1e-3, num_updates=10, schedule="cosine") == pytest.approx(5e-4)
    assert 0 < learning_rate(9, start=1e-3, num_updates=10, schedule="cosine") < 5e-5
    assert math.isclose(learning_rate(10, start=1e-3, num_updates=10, schedule="cosine"), 0, abs_tol=1e-12)


@pytest.mark.parametrize("warmup", [0.0, 3.5])
def test_cycles_are_refused_without_a_warm_up_that_fits_into_each(warmup):
    with pytest.raises(ConfigurationError, match=r"train\.kl_cycles: .* must be positive and fit into 10 epochs"):
        Cell.from_config({"train": {"epochs": 10, "kl_warmup": warmup, "kl_cycles": 3}})


def test_the_encoder_is_ahead_in_the_first_epochs_alone():
    moves = [generative(update, encoder_updates=3, aggressive_updates=7) for update in range(10)]
    assert moves == [0, 0, 1, 0, 0, 1, 0, 1, 1, 1]
    assert {generative(update, encoder_updates=1, aggressive_updates=7) for update in range(10)} == {1}
    untrained = run({"epochs": 1, "learning_rate": 1e-30})[1]
    ahead = run({"epochs": 2, "aggressive_epochs": 2, "encoder_updates": 1000})[1]
    moved = [not torch.equal(a, b) for a, b in zip(untrained, ahead, strict=True)]
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [32]}})
    names = [name for name, _ in new_vae(cell, (1, 8, 8), GREY[:10]).named_parameters()]
    assert moved == [name.startswith("posterior.") for name in names] * 2


def test_cyclical_warm_up_reaches_the_loss():
    """Two cycles of three epochs, each with a warm-up of two: the latent term's share of the loss falls back once."""
    result, _ = run({"kl_warmup": 2.0, "kl_cycles": 2})
    loss, rate, distortion = (torch.tensor(result.curves[name])[:, 0] for name in ("loss", "rate", "distortion"))
    scale = (loss - distortion) / rate
    expected = torch.tensor([2.5 / 8, 6.5 / 8, 1.0] * 2)
    assert torch.allclose(scale, expected, atol=0.05)


@pytest.mark.parametrize(
    ("asked", "ratio", "groups"),
    [
        ({"replicates": "auto", "engine": "traced"}, 1.04, 1),
        ({"replicates": "auto", "engine": "traced"}, 1.06, 2),
        ({"replicates": "auto", "engine": "compiled"}, 1.06, 2),
        ({"replicates": "auto"}, 1.06, 2),
        ({"replicates": "auto", "engine": "eager"}, 1.06, 1),  # which calls them one by one in any case
        ({"replicates": "together", "engine": "traced"}, 1.06, 1),
        ({"replicates": "one_by_one", "engine": "traced"}, 0.99, 2),
    ],
    ids=str,
)
def test_replicates_are_updated_one_by_one_where_that_is_faster(monkeypatch, asked, ratio, groups):
    """``ratio``: of the time of an update of both to that of one of each."""
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [8]}, "train": asked})
    vaes = [new_vae(cell, (1, 8, 8)) for _ in range(2)]
    monkeypatch.setattr(updates, "_WORTH_A_TRIAL", 0)
    made = Updates(vaes, new_objective(cell), images, cell.train, beta=1.0, first_seed=0, share=Share(0, 1))

    def seconds(engine, probes=3, clock=None):
        engine.step()
        return 2e-3 if isinstance(engine, EagerEngine) else 5e-4 * (2 * ratio if engine.step().shape[1] == 2 else 1)

    monkeypatch.setattr(choice, "_seconds", seconds)
    monkeypatch.setattr(choice, "_TRACE_SECONDS", 0.0)
    fresh = [tensor.clone() for tensor in made.states[0].flat().values()]
    assert made.choose().engine == asked.get("engine", "traced")
    assert len(made.groups) == groups
    if groups == 1:
        assert all(torch.equal(a, b) for a, b in zip(fresh, made.states[0].flat().values(), strict=True))


def test_a_trial_finds_replicates_of_a_small_network_faster_together(monkeypatch):
    vaes, objective, batch = new_trial({}, replicates=8)
    tried = []
    seconds = choice._seconds
    monkeypatch.setattr(choice, "_seconds", lambda *given: tried.append(seconds(*given)) or tried[-1])
    assert not choice.faster_apart(vaes, objective, State.initial(vaes), batch, bf16=False)
    assert len(tried) == 2 * choice._PROBES


@pytest.mark.parametrize(("apart", "asked"), [(False, "together"), (True, "one_by_one")])
@pytest.mark.parametrize("network", [{"name": "mlp", "hidden": [16]}, {"name": "conv", "channels": [4, 8]}], ids=str)
def test_a_trial_of_groups_leaves_no_trace(monkeypatch, network, apart, asked):
    """Whatever it finds, the training is that of the grouping asked for."""
    monkeypatch.setattr(updates, "_WORTH_A_TRIAL", 0)
    options = {"engine": "traced", "epochs": 2}
    _, expected = run({**options, "replicates": asked}, network=network)
    trial, found = choice.faster_apart, []

    def forced(*given, **options):
        found.append(trial(*given, **options))
        return apart

    monkeypatch.setattr(updates, "faster_apart", forced)
    _, weights = run(options, network=network)
    assert found
    assert all(torch.equal(a, b) for a, b in zip(expected, weights, strict=True))
