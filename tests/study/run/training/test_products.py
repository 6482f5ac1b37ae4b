"""Products of a traced update: layers written anew give what they gave, and only those that gain by it are."""

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from study.run.training.graph import GraphEngine
from study.run.training.products import MOST_ROWS, turn_layers
from study.run.training.state import State
from study.run.training.step import PureStep
from tests.study.run.training.test_engines import OBJECTIVE, largest_difference, new_batch, replicates


def traced(function, *tensors: Tensor) -> GraphModule:
    return make_fx(function, tracing_mode="fake")(*tensors)


def two_layers(images: Tensor, first: Tensor, bias: Tensor, second: Tensor) -> Tensor:
    loss = F.linear(F.linear(images, first, bias).relu(), second, bias).square().sum()
    return torch.stack([gradient.sum() for gradient in torch.autograd.grad(loss, (first, bias, second))])


def inputs(rows: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((rows, 7), (20, 7), (20,), (20, 20))
    return [torch.randn(*shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("rows", [1, 5, MOST_ROWS])
def test_turned_layers_give_what_they_gave(rows):
    tensors = inputs(rows)
    graph = traced(two_layers, *tensors)
    expected = graph(*tensors)
    assert turn_layers(graph) == 2
    assert torch.ops.aten.addmm.default not in {node.target for node in graph.graph.nodes}
    torch.testing.assert_close(graph(*tensors), expected)


@pytest.mark.parametrize(
    ("rows", "dtype"), [(MOST_ROWS + 1, torch.float32), (5, torch.bfloat16), (5, torch.float64)], ids=str
)
def test_layers_of_many_rows_or_of_another_precision_are_left(rows, dtype):
    tensors = inputs(rows, dtype)
    graph = traced(two_layers, *tensors)
    code = graph.code
    assert turn_layers(graph) == 0
    assert graph.code == code


def test_sums_that_are_no_layers_are_left():
    matrix, square = torch.randn(4, 4), torch.randn(4, 4)
    for function in (
        lambda a, b: torch.addmm(a, a, b.t()),  # a matrix in the place of the bias
        lambda a, b: torch.addmm(a[0], a, b),  # weights that are not turned
        lambda a, b: torch.addmm(a[0], a, b.t(), alpha=2.0),
    ):
        assert turn_layers(traced(function, matrix, square)) == 0


@pytest.mark.slow
def test_a_program_of_turned_layers_updates_as_the_pure_step(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path))
    vaes = replicates("vamp", dtype=torch.float32)[:1]
    whole = new_batch(vaes)
    batch = whole._replace(indices=whole.indices[:1], noise=[draws[:1] for draws in whole.noise])
    state, expected = State.initial(vaes), State.initial(vaes)
    engine = GraphEngine(vaes[0], OBJECTIVE, state, batch)
    for _ in range(2):
        metrics = engine.step()
        expected, wanted = PureStep(vaes[0], OBJECTIVE)(expected, batch)
        torch.testing.assert_close(metrics, wanted)
    assert largest_difference(state.parameters, expected.parameters) < 1e-5
