"""Every posterior, likelihood and objective within the training step: traced with fake tensors, and mapped over seeds.

A part that branches on values, waits for the device or draws past :mod:`models.noise` fails here. All parts can be
mapped; one that could not would be trained one replicate after another.
"""

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from models import noise
from models.context import Context
from models.pure import pure_pyro
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, OBJECTIVES, POSTERIORS, PRIORS
from study.run.training.state import State
from study.run.training.step import Batch, PureStep, noise_shapes

IMAGES = torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0)).bernoulli().double()
FAMILIES = {"posterior": POSTERIORS, "likelihood": LIKELIHOODS, "objective": OBJECTIVES}
SMALL = {"hidden": 8, "transforms": 2, "bins": 3, "components": 2}
CASES = [(kind, name) for kind, family in FAMILIES.items() for name in family]


def part(kind: str, name: str, *context: Context) -> object:
    options = FAMILIES[kind].options(name)
    return FAMILIES[kind][name](*context, **{option: size for option, size in SMALL.items() if option in options})


def vae_of(posterior: str, likelihood: str, seed: int) -> VAE:
    torch.manual_seed(seed)
    context = Context(Shapes((3,), (1, 4, 4)), NETWORKS["mlp"](hidden=(8,)))
    q, p = part("posterior", posterior, context), part("likelihood", likelihood, context)
    prior = "hypersphere" if posterior == "von_mises_fisher" else "standard_normal"
    return VAE(PRIORS[prior](context.with_posterior(q)), q, p).double()


@pytest.mark.parametrize("seeds", [1, 2], ids=["alone", "mapped"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_step_is_traced_with_the_gradients_of_autograd(kind, name, seeds):
    chosen = {"posterior": "diagonal_normal", "likelihood": "bernoulli", "objective": "elbo"} | {kind: name}
    vaes = [vae_of(chosen["posterior"], chosen["likelihood"], seed) for seed in range(seeds)]
    objective, like = part("objective", chosen["objective"]), {"dtype": torch.float64}
    draws = [torch.randn(seeds, *shape, **like) for shape in noise_shapes(vaes[0], objective, IMAGES)]
    assert draws
    scale = torch.tensor(0.7, **like)
    batch = Batch(
        IMAGES[None], torch.arange(len(IMAGES)).expand(seeds, -1), draws, scale, torch.tensor(1e-3, **like), scale
    )
    state, step = State.initial(vaes), PureStep(vaes[0], objective)

    def gradient(parameters: dict[str, Tensor], buffers: dict[str, Tensor], *tensors: Tensor) -> dict[str, Tensor]:
        source, indices, *scalars = tensors[:5]
        before = State(parameters, parameters, parameters, buffers, state.count)
        return step.gradients(before, Batch(source, indices, [*tensors[5:]], *scalars))[0]

    inputs = (state.parameters, state.buffers, *batch[:2], *batch[3:], *draws)
    with torch.no_grad():
        traced = make_fx(gradient, tracing_mode="fake")(*inputs)(*inputs)
    for index, vae in enumerate(vaes):
        with noise.replay([tensor[index] for tensor in draws]), pure_pyro():
            loss = objective(vae.model, vae.guide, IMAGES, scale).loss
        own = torch.autograd.grad(loss, list(vae.parameters()))
        for (key, _), expected in zip(vae.named_parameters(), own, strict=True):
            assert torch.allclose(traced[key][index], expected, rtol=1e-8, atol=1e-10), key
