"""Products of a traced update: layers written anew give what they gave, and only those that gain by it are."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.nn import functional as F

from models.transposed_convolution import MOST_CHANNELS
from study.run.training.graph import GraphEngine
from study.run.training.products import MOST_ROWS
from study.run.training.state import State
from study.run.training.step import PureStep
from study.run.training.trace import trace
from tests.study.run.training.test_engines import OBJECTIVE, largest_difference, new_batch, replicates

ATEN = torch.ops.aten


def operations(graph: GraphModule) -> list[object]:
    return [node.target for node in graph.graph.nodes]


def two_layers(images: Tensor, first: Tensor, bias: Tensor, second: Tensor) -> Tensor:
    def loss(first: Tensor, bias: Tensor, second: Tensor) -> Tensor:
        return F.linear(F.linear(images, first, bias).relu(), second, bias).square().sum()

    return torch.cat([gradient.flatten() for gradient in torch.func.grad(loss, (0, 1, 2))(first, bias, second)])


def layers(rows: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((rows, 7), (20, 7), (20,), (20, 20))
    return [torch.randn(*shape, generator=generator).to(dtype) for shape in shapes]


@pytest.mark.parametrize("rows", [1, 5, MOST_ROWS])
def test_dense_layers_that_are_fused_give_what_they_gave(rows):
    tensors = layers(rows)
    fused, single = (trace(two_layers, tensors, fused=fused) for fused in (True, False))
    assert ATEN.addmm.default not in operations(fused)
    assert operations(single).count(ATEN.addmm.default) == 2
    expected = single(*tensors)
    torch.testing.assert_close(fused(*tensors), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("rows", "dtype"), [(MOST_ROWS + 1, torch.float32), (5, torch.bfloat16), (5, torch.float64)], ids=str
)
def test_layers_of_many_rows_or_of_another_precision_are_left(rows, dtype):
    assert operations(trace(two_layers, layers(rows, dtype), fused=True)).count(ATEN.addmm.default) == 2


def test_a_form_that_somebody_elses_view_excludes_is_left():
    def viewed(images: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        return F.linear(images, weights, bias).view(len(images), -1)

    tensors = [torch.randn(4, 3, 7), torch.randn(6, 7), torch.randn(6)]
    torch.testing.assert_close(trace(viewed, tensors, fused=True)(*tensors), viewed(*tensors))


def test_errors_of_the_function_itself_are_kept():
    with pytest.raises(RuntimeError, match="reduction dim"):
        trace(torch.mm, [torch.randn(2, 3), torch.randn(2, 3)], fused=True)


def test_replicates_that_are_mapped_keep_their_operations():
    vaes = replicates("standard_normal", "conv", dtype=torch.float32)
    graph = GraphEngine(vaes[0], OBJECTIVE, State.initial(vaes), new_batch(vaes))._graph
    assert operations(graph).count(ATEN.convolution.default) == 4


@pytest.mark.parametrize(
    "sum_of",
    [
        lambda matrix, factor: torch.addmm(matrix, matrix, factor.t()),
        lambda matrix, factor: torch.addmm(matrix[0], matrix, factor),
        lambda matrix, factor: torch.addmm(matrix[0], matrix, factor.t(), alpha=2.0),
        lambda matrix, factor: torch.addmm(matrix[0], matrix, factor.t(), beta=2.0),
    ],
    ids=["a matrix for a bias", "weights as they are stored", "a factor on the product", "a factor on the bias"],
)
def test_sums_that_are_no_layers_are_left(sum_of):
    graph = trace(sum_of, [torch.randn(4, 4), torch.randn(4, 4)], fused=True)
    assert ATEN.addmm.default in operations(graph)


def image_of(channels: int, **options: Any) -> tuple[list[Tensor], GraphModule]:
    generator, groups = torch.Generator().manual_seed(0), int(options.get("groups", 1))
    tensors = [
        torch.randn(*shape, generator=generator) for shape in ((2, 6, 4, 3), (6, channels, 4, 3), (channels * groups,))
    ]

    def image(maps: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        return F.conv_transpose2d(maps, kernels, bias, **options)

    return tensors, trace(image, tensors, fused=False)


@pytest.mark.parametrize("channels", [1, MOST_CHANNELS])
def test_transposed_convolutions_to_images_are_products(channels):
    tensors, graph = image_of(channels, stride=(3, 2), padding=(1, 0), output_padding=(1, 0))
    assert ATEN.convolution.default not in operations(graph)
    expected = F.conv_transpose2d(*tensors, stride=(3, 2), padding=(1, 0), output_padding=(1, 0))
    torch.testing.assert_close(graph(*tensors), expected)


@pytest.mark.parametrize(
    ("channels", "options"),
    [(MOST_CHANNELS + 1, {}), (1, {"dilation": 2}), (1, {"groups": 2}), (1, {"stride": 1})],
    ids=["many channels", "kernels with holes", "groups", "too much overlap"],
)
def test_other_transposed_convolutions_are_left(channels, options):
    options = {"stride": 2} | options
    tensors, graph = image_of(channels, **options)
    assert ATEN.convolution.default in operations(graph)
    torch.testing.assert_close(graph(*tensors), F.conv_transpose2d(*tensors, **options))


@pytest.mark.slow
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_program_of_these_products_updates_as_the_pure_step(network, tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path))
    vaes = replicates("standard_normal", network, dtype=torch.float32)[:1]
    whole = new_batch(vaes)
    batch = whole._replace(indices=whole.indices[:1], noise=[draws[:1] for draws in whole.noise])
    state, expected = State.initial(vaes), State.initial(vaes)
    engine = GraphEngine(vaes[0], OBJECTIVE, state, batch)
    assert ATEN.addmm.default not in operations(engine._graph)
    # Two convolutions, and two transposed ones, of which one leads to the image.
    assert operations(engine._graph).count(ATEN.convolution.default) == (3 if network == "conv" else 0)
    for _ in range(2):
        metrics = engine.step()
        expected, wanted = PureStep(vaes[0], OBJECTIVE)(expected, batch)
        torch.testing.assert_close(metrics, wanted)
    # Adam's ratio of moments would enlarge what rounding leaves of gradients near zero.
    assert largest_difference(state.exp_avg, expected.exp_avg) < 1e-5
