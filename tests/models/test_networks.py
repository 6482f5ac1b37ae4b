"""Laws that every network obeys; a new file in models/networks is under all of them.

A network that refuses a shape is let off at that shape; every network must hold a vector latent. Bodies are in
evaluation mode.
"""

import pytest
import torch
from torch import Tensor, nn

from models.context import Shapes
from models.networks import evaluate
from models.networks._up_convolution import UpConvolution
from study.design.families import NETWORKS

IMAGE = (2, 8, 8)
EVENT = {"flat": (3,), "spatial": (4, 2, 2)}
SMALL = {"hidden": 16, "channels": (4, 8), "stem": 4}
OUTPUTS = 2


def bodies(name: str, shape: tuple[int, ...], seed: int = 0) -> dict[str, tuple[nn.Module, Tensor, tuple[int, ...]]]:
    """Encoder and decoder with a batch of five of what they take, and the event shape of what they give."""
    torch.manual_seed(seed)
    options = NETWORKS.options(name)
    sizes = {
        option: (size,) if isinstance(options[option].default, tuple) and isinstance(size, int) else size
        for option, size in SMALL.items()
        if option in options
    }
    network = NETWORKS[name](**sizes)
    shapes = Shapes(shape, IMAGE)
    try:
        encoder, decoder = (body(shapes, outputs=OUTPUTS).eval() for body in (network.encoder, network.decoder))
    except ValueError as refusal:
        if len(shape) == 1:
            raise
        pytest.skip(str(refusal))
    return {"encoder": (encoder, torch.rand(5, *IMAGE), shape), "decoder": (decoder, torch.randn(5, *shape), IMAGE)}


@pytest.fixture(params=list(NETWORKS))
def name(request) -> str:
    return request.param


@pytest.fixture(params=EVENT.values(), ids=EVENT)
def shape(request) -> tuple[int, ...]:
    return request.param


@pytest.mark.parametrize("side", ["encoder", "decoder"])
class TestBody:
    def test_outputs_are_laid_out_per_element_of_the_event(self, name, shape, side):
        body, events, event_shape = bodies(name, shape)[side]
        assert body(events).shape == (5, OUTPUTS, *event_shape)

    def test_each_event_is_mapped_by_itself(self, name, shape, side):
        body, events, _ = bodies(name, shape)[side]
        with torch.no_grad():
            alone = torch.cat([body(event[None]) for event in events])
            assert torch.allclose(body(events), alone, atol=1e-5)

    def test_leading_dimensions_are_folded(self, name, shape, side):
        body, events, event_shape = bodies(name, shape)[side]
        stacked = torch.stack([events, events.flip(0)])
        with torch.no_grad():
            outputs = evaluate(body, stacked, events.dim() - 1)
            assert outputs.shape == (OUTPUTS, 2, 5, *event_shape)
            assert torch.allclose(outputs[:, 1], body(events.flip(0)).movedim(1, 0), atol=1e-5)

    def test_gradient_reaches_every_parameter_and_the_input(self, name, shape, side):
        body, events, _ = bodies(name, shape)[side]
        reached = {"events": events.requires_grad_(), **dict(body.named_parameters())}
        gradients = torch.autograd.grad(body(events).square().sum(), list(reached.values()))
        for key, gradient in zip(reached, gradients, strict=True):
            assert gradient.isfinite().all(), key
            assert gradient.abs().sum() > 0, key

    def test_state_is_the_whole_of_it(self, name, shape, side):
        body, events, _ = bodies(name, shape)[side]
        other, _, _ = bodies(name, shape, seed=1)[side]
        with torch.no_grad():
            assert not torch.equal(body(events), other(events))
            other.load_state_dict(body.state_dict())
            assert torch.equal(body(events), other(events))

    def test_outputs_under_autocast_are_in_single_precision(self, name, shape, side):
        """Bodies run in bf16, the parameters of distributions do not."""
        body, events, _ = bodies(name, shape)[side]
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert evaluate(body, events, events.dim() - 1).dtype == torch.float32

    def test_evaluation_in_double_precision(self, name, shape, side):
        body, events, _ = bodies(name, shape)[side]
        with torch.no_grad():
            single = body(events)
            double = body.double()(events.double())
        assert double.dtype == torch.float64
        assert torch.allclose(double.float(), single, atol=1e-4)


def test_every_network_names_its_paper(name):
    assert NETWORKS.signature(name).reference


@pytest.mark.parametrize(("place", "side"), [("decoder", "decoder"), ("encoder", "encoder"), ("none", None)])
def test_a_constant_per_place_is_where_it_is_asked_for_and_starts_at_nothing(place, side):
    shapes, network = Shapes((4, 2, 2), IMAGE), NETWORKS["spatial"]
    for name, events in (("encoder", torch.rand(5, *IMAGE)), ("decoder", torch.randn(5, 4, 2, 2))):
        plain, own = (network(channels=(4, 8), stem=4, place=option) for option in ("none", place))
        torch.manual_seed(0)
        before = getattr(plain, name)(shapes, OUTPUTS)
        torch.manual_seed(0)
        after = getattr(own, name)(shapes, OUTPUTS)
        assert torch.equal(before(events), after(events))
        extra = sum(p.numel() for p in after.parameters()) - sum(p.numel() for p in before.parameters())
        assert extra == (16 if name == side else 0)
        if name == side:
            constant = torch.arange(16.0).view(4, 2, 2)
            next(m for m in after if hasattr(m, "constant")).constant.data.copy_(constant)
            if name == "encoder":
                expected = before(events) + torch.stack([constant, torch.zeros_like(constant)])
            else:
                expected = before(events + constant)
            assert torch.allclose(after(events), expected, atol=1e-5)


def count(network, shape, *, biases):
    """Weights, or biases, of both bodies: what is added is of one dimension, or a constant per place."""
    shapes, parts = Shapes(shape, (1, 28, 28)), []
    with torch.device("meta"):
        parts = [*network.encoder(shapes, OUTPUTS).named_parameters(), *network.decoder(shapes, 1).named_parameters()]
    return sum(p.numel() for name, p in parts if name.endswith("weight") != biases)


def spatial(**options):
    return NETWORKS["spatial"](**{"channels": (32, 64), "stem": 64} | options)


def test_a_low_rank_gives_the_vector_as_many_weights_as_its_map():
    weights, dense, twin = (
        count(spatial(**options), shape, biases=False)
        for options, shape in (({}, (64, 8, 8)), ({}, (4096,)), ({"rank": 2}, (4096,)))
    )
    assert dense > 100 * weights
    assert twin == pytest.approx(weights, rel=0.01)


def test_biases_are_those_of_the_other_twin():
    """A dense bias for each of 2 · 4,096 numbers and 64 · 7 · 7 places, or one for each channel or parameter; and a
    constant for each of 4,096 numbers at either end of a map."""
    plain, shared = (count(spatial(dense_bias=option), (4096,), biases=True) for option in ("place", "channel"))
    assert plain - shared == 2 * 4096 + 64 * 7 * 7 - 2 - 64
    none, both = (count(spatial(place=option), (64, 8, 8), biases=True) for option in ("none", "both"))
    assert both - none == 2 * 4096


def test_dense_layers_are_of_the_rank_that_is_asked_for():
    torch.manual_seed(0)
    network, shapes = NETWORKS["spatial"](channels=(4, 8), stem=4, rank=2, dense_bias="channel"), Shapes((9,), IMAGE)
    encoder, decoder = network.encoder(shapes, OUTPUTS), network.decoder(shapes, OUTPUTS)
    codes = encoder(torch.rand(50, *IMAGE)).flatten(1)
    dense = decoder[:2](torch.randn(50, 9))
    for outputs in (codes, dense):
        centred = outputs - outputs.mean(0)
        assert int((torch.linalg.svdvals(centred) > 1e-4).sum()) == 2
    bias = next(m for m in decoder if hasattr(m, "bias") and m.bias is not None and m.bias.shape == (4,))
    bias.bias.data.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    features = torch.zeros(1, 4, 2, 2)
    assert torch.equal(bias(features)[0, :, 1, 1], bias.bias)
    assert torch.equal(bias(features)[0, :, 0, 0], bias.bias)


@pytest.mark.parametrize("options", [{"rank": 2}, {"dense_bias": "channel"}])
def test_a_map_has_no_dense_layers(options):
    with pytest.raises(ValueError, match="are of the dense layers of a vector latent; got latent_dim=4x2x2"):
        NETWORKS["spatial"](channels=(4, 8), stem=4, **options).encoder(Shapes((4, 2, 2), IMAGE), OUTPUTS)


def test_a_vector_has_no_places():
    with pytest.raises(ValueError, match="needs a latent that is a map"):
        NETWORKS["spatial"](channels=(4, 8), stem=4, place="decoder").encoder(Shapes((3,), IMAGE), OUTPUTS)


@pytest.mark.parametrize(
    ("inputs", "outputs", "sides"), [(3, 1, (7, 7)), (1, 2, (1, 4)), (5, 3, (4, 2)), (5, 4, (4, 2))]
)
def test_up_convolution_without_gradient_is_the_transposed_convolution(inputs, outputs, sides):
    torch.manual_seed(0)
    layer = UpConvolution(inputs, outputs).double()
    features = torch.randn(2, inputs, *sides, dtype=torch.float64)
    with torch.no_grad():
        found = layer(features)
    expected = nn.ConvTranspose2d.forward(layer, features)
    assert expected.requires_grad
    assert found.shape == (2, outputs, 2 * sides[0], 2 * sides[1])
    torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-12)
    assert torch.equal(layer(features), expected)
    with torch.no_grad():
        torch.testing.assert_close(layer(features[0]), expected[0].detach(), rtol=1e-12, atol=1e-12)
