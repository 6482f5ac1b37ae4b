"""Sources of a VAE whose decoder shows its latents, so that every image tells where it came from."""

import pytest
import torch
from pyro import distributions as dist
from torch import nn

from models.vae import VAE
from study.cell import Cell
from study.data import ImageData
from study.sources import Codes, decode, local_sample, realistic, reference_split, sample_sources

DIM, NUM = 4, 200


class Transparent(nn.Module):
    """p(x|z) = N(z, I) on images 1 × 2 × 2."""

    def forward(self, z):
        return dist.Normal(z.reshape(-1, 1, 2, 2), 1.0).to_event(3)


class Constant:
    """A density in float64 that counts what it gave."""

    def sample(self, num, generator):
        return torch.arange(num * DIM, dtype=torch.float64).view(num, DIM)


@pytest.fixture
def vae() -> VAE:
    parts = Cell.from_config({"latent_dim": DIM, "network": {"name": "mlp", "hidden": [8]}}).new_vae((1, 8, 8))
    return VAE(parts.prior, parts.posterior, Transparent())


def codes(start: float, scale: float = 0.0, num: int = NUM) -> Codes:
    """Means start, start + 1, … in every dimension."""
    loc = (start + torch.arange(num, dtype=torch.float32))[:, None].expand(num, DIM)
    return Codes(loc, torch.full((num, DIM), scale))


def draw(vae, *, densities=None, num=NUM, seed=0, scale=0.0):
    held_out = codes(-5_000, scale)
    images = held_out.loc.reshape(-1, 1, 2, 2)
    return sample_sources(vae, codes(1_000, scale), held_out, images, densities or {}, num=num, seed=seed)


def firsts(images: torch.Tensor) -> torch.Tensor:
    return images[:, 0, 0, 0]


def test_each_source_gives_its_own_images(vae):
    sources = draw(vae, densities={"mixture": Constant()})
    assert list(sources) == [
        "prior", "aggregate_train", "aggregate_held_out", "local", "reconstruction", "held_out", "mixture"
    ]  # fmt: skip
    assert all(images.shape == (NUM, 1, 2, 2) and images.dtype == torch.float32 for images in sources.values())
    assert torch.equal(firsts(sources["aggregate_train"]).sort().values, codes(1_000).loc[:, 0])
    for name in ("aggregate_held_out", "reconstruction", "held_out"):
        assert torch.equal(firsts(sources[name]).sort().values, codes(-5_000).loc[:, 0])
    assert torch.equal(sources["reconstruction"], sources["held_out"])
    assert torch.equal(sources["mixture"].flatten(), torch.arange(NUM * DIM, dtype=torch.float32))
    # 800 standard normals: their mean square errs by 0.05.
    assert abs(float(sources["prior"].square().mean()) - 1) < 0.25
    noise = sources["local"] - sources["reconstruction"]
    assert abs(float(noise.square().mean()) - 1) < 0.25


def test_aggregates_are_drawn_with_their_scale(vae):
    sources = draw(vae, scale=0.5)
    noise = sources["aggregate_held_out"] - sources["reconstruction"]
    assert abs(float(noise.std()) - 0.5) < 0.07
    assert torch.equal(sources["reconstruction"], sources["held_out"])


def test_no_image_is_drawn_twice(vae):
    sources = draw(vae, num=50)
    for name in ("aggregate_train", "reconstruction"):
        assert len(firsts(sources[name]).unique()) == 50
    assert torch.equal(sources["reconstruction"], sources["held_out"])


def test_seed_and_name_are_the_whole_randomness(vae):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = draw(vae, scale=1.0)
    assert torch.equal(torch.rand(3), expected)
    again, other = draw(vae, densities={"mixture": Constant()}, scale=1.0), draw(vae, seed=1, scale=1.0)
    for name, images in first.items():
        assert torch.equal(images, again[name])
        assert not torch.equal(images, other[name])


def test_local_draws_know_their_image(vae):
    loc = codes(0).loc * 1_000
    images, own = local_sample(vae, loc, 2.0, 3, torch.Generator().manual_seed(0))
    assert torch.equal(own, torch.arange(NUM).repeat_interleave(3))
    noise = images.flatten(1) - loc[own]
    # 2,400 draws of standard deviation 2: known to 0.03.
    assert abs(float(noise.std()) - 2) < 0.15
    still, _ = local_sample(vae, loc, 0.0, 1, torch.Generator())
    assert torch.equal(still, decode(vae, loc))


def test_latents_of_any_shape(vae):
    spatial = Codes(codes(0).loc.reshape(NUM, 1, 2, 2), codes(0).scale.reshape(NUM, 1, 2, 2))
    prior = (
        Cell.from_config({"latent_dim": "1x2x2", "network": {"name": "mlp", "hidden": [8]}}).new_vae((1, 8, 8)).prior
    )
    vae.prior = prior
    sources = sample_sources(vae, spatial, spatial, spatial.loc, {"mixture": Constant()}, num=NUM, seed=0)
    assert torch.equal(sources["mixture"].flatten(), torch.arange(NUM * DIM, dtype=torch.float32))


def test_reference_and_starts_are_disjoint_halves():
    reference, starts = reference_split(11)
    assert sorted([*reference.tolist(), *starts.tolist()]) == list(range(11))
    assert (len(reference), len(starts)) == (6, 5)
    assert torch.equal(reference, reference_split(11)[0])
    assert reference.tolist() != reference.sort().values.tolist()


@pytest.mark.parametrize(("how", "cut"), [("none", False), ("dynamic", False), ("fixed", False), ("threshold", True)])
def test_real_images_are_on_the_scale_of_likelihood_means(how, cut):
    images, labels = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1), torch.tensor([0, 1])
    data = ImageData("pair", images, labels, images, labels, ("a", "b"), "checksum", "none")
    expected = torch.tensor([0.0, 1.0]) if cut else torch.tensor([0.2, 0.8])
    assert torch.equal(realistic(data, how).images.flatten(), expected)
    assert torch.equal(realistic(data, how).held_out_images.flatten(), expected)


def test_what_it_refuses(vae):
    with pytest.raises(ValueError, match="at most 200, one draw per image; got 201"):
        draw(vae, num=201)
    with pytest.raises(ValueError, match="rename it"):
        draw(vae, densities={"prior": Constant()})
