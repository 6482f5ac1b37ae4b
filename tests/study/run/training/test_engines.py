"""One update, three ways: Pyro's own SVI, the eager engine, and the traced graph, compiled or not, mapped or not."""

import copy
import warnings

import pyro
import pytest
import torch
from pyro.infer import SVI, TraceMeanField_ELBO
from torch import Tensor

from models import noise
from models.pure import pure_pyro
from models.vae import VAE
from study.design.cell import Cell
from study.design.families import OBJECTIVES, PRIORS
from study.run.building import new_vae
from study.run.training.eager import EagerEngine
from study.run.training.graph import COLD_TRACES, GraphEngine
from study.run.training.state import State
from study.run.training.step import Batch, PureStep, noise_shapes
from study.run.training.traced import TracedEngine

BATCH, SEEDS = 24, 3
OBJECTIVE = OBJECTIVES["elbo"]()
IMAGES = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(1)).bernoulli()


def replicates(prior: str = "standard_normal", network: str = "mlp", dtype: torch.dtype = torch.float64) -> list[VAE]:
    posterior = "von_mises_fisher" if PRIORS[prior].support == "sphere" else "diagonal_normal"
    cell = Cell.from_config({"latent_dim": 3, "prior": prior, "posterior": posterior, "network": network})
    vaes = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        vaes.append(new_vae(cell, (1, 8, 8), IMAGES[:10]).to(dtype))
    return vaes


def new_batch(vaes: list[VAE], *, shared: bool = True, seed: int = 0) -> Batch:
    dtype = next(vaes[0].parameters()).dtype
    generator = torch.Generator().manual_seed(seed)
    shapes = noise_shapes(vaes[0], OBJECTIVE, IMAGES[:BATCH].to(dtype))
    source = IMAGES[None].to(dtype) if shared else torch.stack([IMAGES.roll(r, 0) for r in range(SEEDS)]).to(dtype)
    return Batch(
        source,
        torch.randint(len(IMAGES), (SEEDS, BATCH), generator=generator),
        [torch.randn(SEEDS, *shape, generator=generator, dtype=dtype) for shape in shapes],
        torch.tensor(0.7, dtype=dtype),
        torch.tensor(1e-3, dtype=dtype),
        torch.tensor(1.0, dtype=dtype),
    )


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a if a[name].numel())


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("prior", list(PRIORS))
def test_pure_step_has_the_gradients_of_autograd_over_the_pair(prior, network):
    vaes = replicates(prior, network)
    batch, state = new_batch(vaes), State.initial(vaes)
    gradients, _, metrics = PureStep(vaes[0], OBJECTIVE).gradients(state, batch)
    for r, vae in enumerate(vaes):
        with noise.replay([draws[r] for draws in batch.noise]), pure_pyro():
            terms = OBJECTIVE(vae.model, vae.guide, batch.images(r), batch.latent_scale)
        own = dict(
            zip(dict(vae.named_parameters()), torch.autograd.grad(terms.loss, list(vae.parameters())), strict=True)
        )
        assert largest_difference({name: g[r] for name, g in gradients.items()}, own) < 1e-12
        assert torch.allclose(metrics[:, r], torch.stack([terms.loss, terms.rate.mean(), terms.distortion.mean()]))


@pytest.mark.parametrize("shared", [True, False], ids=["shared images", "own images"])
def test_pure_step_updates_as_the_eager_engine_does(shared):
    vaes = replicates("gaussian_mixture")
    batch = new_batch(vaes, shared=shared)
    pure, eager = State.initial(vaes), State.initial(vaes)
    engine = EagerEngine(copy.deepcopy(vaes), OBJECTIVE, eager, batch)
    step = PureStep(vaes[0], OBJECTIVE)
    for _ in range(5):
        expected = engine.step()
        with torch.no_grad():
            pure, metrics = step(pure, batch)
        assert torch.allclose(metrics, expected, rtol=1e-10)
    assert largest_difference(pure.flat(), eager.flat()) < 1e-10


def test_no_power_of_the_count_is_left_to_each_weight():
    """The compiler for processors computes a power of a scalar within the loop over weights, and takes most of it."""
    vaes = replicates("standard_normal")
    graph = GraphEngine(vaes[0], OBJECTIVE, State.initial(vaes), new_batch(vaes))._graph
    assert torch.ops.aten.exp.default in {node.target for node in graph.graph.nodes}
    assert torch.ops.aten.pow.Scalar not in {node.target for node in graph.graph.nodes}


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("prior", list(PRIORS))
def test_traced_engine_updates_as_the_eager_engine_does(prior, network):
    vaes = replicates(prior, network)
    batch = new_batch(vaes)
    traced, eager = State.initial(vaes), State.initial(vaes)
    one, other = (
        TracedEngine(vaes[0], OBJECTIVE, traced, batch),
        EagerEngine(copy.deepcopy(vaes), OBJECTIVE, eager, batch),
    )
    for seed, moving in enumerate((1.0, 0.0, 1.0)):
        batch.generative.fill_(moving)
        batch.learning_rate.fill_(10.0 ** -(seed + 2))
        for old, new in zip(batch.noise, new_batch(vaes, seed=seed).noise, strict=True):
            old.copy_(new)
        assert torch.allclose(one.step(), other.step(), rtol=1e-9)
    assert largest_difference(traced.flat(), eager.flat()) < 1e-8


def test_traced_engine_keeps_the_statistics_of_batches():
    network = {"name": "spatial", "channels": [4, 8], "stem": 8, "norm": "batch"}
    cell = Cell.from_config({"latent_dim": "2x2x2", "network": network})
    vaes = [new_vae(cell, (1, 8, 8), IMAGES[:10]).double() for _ in range(SEEDS)]
    batch = new_batch(vaes)
    traced, eager = State.initial(vaes), State.initial(vaes)
    assert traced.buffers
    one, other = (
        TracedEngine(vaes[0], OBJECTIVE, traced, batch),
        EagerEngine(copy.deepcopy(vaes), OBJECTIVE, eager, batch),
    )
    for _ in range(3):
        one.step()
        other.step()
    assert largest_difference(traced.flat(), eager.flat()) < 1e-8


@pytest.mark.parametrize("prior", ["standard_normal", "gaussian_mixture", "vamp"])
def test_while_the_encoder_is_ahead_nothing_else_moves(prior):
    vaes = replicates(prior)
    batch = new_batch(vaes)
    pure, eager = State.initial(vaes), State.initial(vaes)
    engine, step = EagerEngine(copy.deepcopy(vaes), OBJECTIVE, eager, batch), PureStep(vaes[0], OBJECTIVE)
    for moving in (0.0, 0.0, 1.0, 0.0, 1.0):
        batch.generative.fill_(moving)
        before = pure
        engine.step()
        with torch.no_grad():
            pure, _ = step(pure, batch)
        for name, old in before.parameters.items():
            stays = not moving and not name.startswith("posterior.")
            assert torch.equal(pure.parameters[name], old) == stays, name
            assert torch.equal(pure.exp_avg[name], before.exp_avg[name]) == stays, name
            assert torch.equal(pure.exp_avg_sq[name], before.exp_avg_sq[name]) == stays, name
    assert largest_difference(pure.flat(), eager.flat()) < 1e-10


def test_eager_engine_is_pyros_svi(monkeypatch):
    """Losses and parameters of five steps against ``pyro.infer.SVI`` with Adam, on the same noise."""
    vaes = replicates()
    batch = new_batch(vaes)
    theirs = copy.deepcopy(vaes[0])
    state = State.initial(vaes)
    engine = EagerEngine(vaes, OBJECTIVE, state, batch)
    pyro.clear_param_store()
    svi = SVI(theirs.model, theirs.guide, pyro.optim.Adam({"lr": 1e-3, "eps": 1e-8 * BATCH}), TraceMeanField_ELBO())
    # SVI sums over images where the objective averages: the same updates, with epsilon on the scale of the sum.
    for _ in range(5):
        metrics = engine.step()
        with noise.replay([draws[0] for draws in batch.noise]):
            loss = svi.step(batch.images(0), float(batch.latent_scale)) / BATCH
        assert float(metrics[0, 0]) == pytest.approx(loss, rel=1e-8)
    pyro.clear_param_store()
    for name, parameter in theirs.named_parameters():
        assert torch.allclose(parameter, state.parameters[name][0], atol=1e-10), name


def test_replicates_together_are_replicates_one_by_one():
    vaes = replicates("vamp")
    batch, together = new_batch(vaes, shared=False), State.initial(vaes)
    step = PureStep(vaes[0], OBJECTIVE)
    with torch.no_grad():
        for _ in range(3):
            together, _ = step(together, batch)
    for r in range(SEEDS):
        alone = State.initial(vaes[r : r + 1])
        own = Batch(batch.source[r : r + 1], batch.indices[r : r + 1], [n[r : r + 1] for n in batch.noise], *batch[3:])
        with torch.no_grad():
            for _ in range(3):
                alone, _ = step(alone, own)
        together_r = {name: tensor[r : r + 1] for name, tensor in together.parameters.items()}
        assert largest_difference(together_r, alone.parameters) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["standard_normal", "vamp", "diffusion"])
def test_compiled_graph_is_the_pure_step(prior, tmp_path, monkeypatch):
    """Every prior is traced elsewhere; a compiler's minute is spent on one of each kind of arithmetic."""
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path))
    vaes = replicates(prior)
    batch = new_batch(vaes)
    pure, compiled = State.initial(vaes), State.initial(vaes)
    engine = GraphEngine(vaes[0], OBJECTIVE, compiled, batch)
    assert engine.build_seconds == COLD_TRACES * engine._trace_seconds > 0
    step = PureStep(vaes[0], OBJECTIVE)
    for seed in range(5):
        for old, new in zip(batch.noise, new_batch(vaes, seed=seed).noise, strict=True):
            old.copy_(new)
        with torch.no_grad():
            pure, expected = step(pure, batch)
        assert torch.allclose(engine.step(), expected, rtol=1e-10)
    assert largest_difference(pure.flat(), compiled.flat()) < 1e-9
    again = GraphEngine(vaes[1], OBJECTIVE, State.initial(vaes), new_batch(vaes))
    assert again.key == engine.key, "cells of one shape share one program"
    assert again.build_seconds == 0.0
    assert list((tmp_path / "programs").glob("*.json"))


@pytest.mark.slow
def test_bf16_changes_the_networks_and_not_the_sums(tmp_path, monkeypatch):
    """bf16 keeps three significant digits; a density summed in bf16 would be off by whole nats."""
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path))
    vaes = replicates(dtype=torch.float32)
    batch = new_batch(vaes)
    with torch.no_grad():
        _, exact = PureStep(vaes[0], OBJECTIVE)(State.initial(vaes), batch)
    for engine in (
        EagerEngine(copy.deepcopy(vaes), OBJECTIVE, State.initial(vaes), batch, bf16=True),
        TracedEngine(vaes[0], OBJECTIVE, State.initial(vaes), batch, bf16=True),
        GraphEngine(vaes[0], OBJECTIVE, State.initial(vaes), batch, bf16=True),
    ):
        metrics = engine.step()
        assert metrics.dtype == torch.float32
        assert not torch.equal(metrics, exact)
        assert torch.allclose(metrics, exact, rtol=1e-2)


def batch_on_gpu():
    parts = new_batch(replicates(dtype=torch.float32))
    return Batch(*[part.cuda() if isinstance(part, Tensor) else [n.cuda() for n in part] for part in parts])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_captured_graph_is_the_pure_step():
    vaes = [vae.cuda() for vae in replicates(dtype=torch.float32)]
    batch = batch_on_gpu()
    pure, captured = State.initial(vaes), State.initial(vaes)
    engine, step = GraphEngine(vaes[0], OBJECTIVE, captured, batch), PureStep(vaes[0], OBJECTIVE)
    for _ in range(8):
        with torch.no_grad():
            pure, expected = step(pure, batch)
        assert torch.allclose(engine.step(), expected, rtol=1e-4)
    assert largest_difference(pure.parameters, captured.parameters) < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_updates_of_a_captured_graph_never_make_the_host_wait():
    vaes = [vae.cuda() for vae in replicates(dtype=torch.float32)]
    batch = batch_on_gpu()
    engine = GraphEngine(vaes[0], OBJECTIVE, State.initial(vaes), batch)
    for _ in range(8):  # what is built and captured waits
        engine.step()
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it is a prototype
            torch.cuda.set_sync_debug_mode("error")
        for _ in range(4):
            engine.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
