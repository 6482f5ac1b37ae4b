"""Sources of a VAE whose decoder shows its latents, so that every image tells where it came from."""

import math

import pytest
import torch
from pyro import distributions as dist
from torch import nn

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.density_fits import Codes
from models.vae import VAE
from study.design.cell import Cell
from study.measurement.encoding import decode
from study.measurement.images import ImageData
from study.measurement.sources import Start, local_sample, reference_split, registered, sample_sources
from study.run.building import new_vae
from study.run.data.binarisation import realistic

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
    parts = new_vae(Cell.from_config({"latent_dim": DIM, "network": {"name": "mlp", "hidden": [8]}}), (1, 8, 8))
    return VAE(parts.prior, parts.posterior, Transparent())


def aggregate(start: float, scale: float = 0.0, num: int = NUM) -> DiagonalAggregate:
    """Means start, start + 1, … in every dimension."""
    loc = (start + torch.arange(num, dtype=torch.float32))[:, None].expand(num, DIM)
    return DiagonalAggregate(InMemoryCodes(loc, torch.full((num, DIM), scale)))


def codes(start: float, scale: float = 0.0, num: int = NUM) -> Codes:
    return Codes.draw(aggregate(start, scale, num), torch.Generator().manual_seed(1))


def draw(vae, *, densities=None, num=NUM, seed=0, scale=0.0, omit=()):
    held_out = codes(-5_000, scale)
    images = held_out.loc.reshape(-1, 1, 2, 2)
    train = aggregate(1_000, scale, num)
    return sample_sources(Start(vae, codes(1_000, scale, num).z, held_out, images, seed, train), densities or {}, omit)


def firsts(images: torch.Tensor) -> torch.Tensor:
    return images[:, 0, 0, 0]


def test_every_source_says_what_it_is_called_and_stands_in_an_order_of_its_own():
    sources = registered()
    for words in ("title", "formula", "place"):
        values = [getattr(source, words) for source in sources.values()]
        assert all(str(value) for value in values)
        assert len(set(values)) == len(values), words


@pytest.mark.parametrize("name", registered())
@pytest.mark.parametrize("shape", ["4", "1x2x2"])
def test_every_source_gives_one_finite_image_for_each_start_and_repeats_with_its_seed(vae, name, shape):
    settings = {"latent_dim": shape, "network": {"name": "mlp", "hidden": [8]}}
    prior = new_vae(Cell.from_config(settings), (1, 8, 8)).prior
    parts = VAE(prior, vae.posterior, vae.likelihood)
    held_out = codes(-5_000, 0.5)
    z = [part.reshape(NUM, *prior().event_shape) for part in (held_out.loc, held_out.scale, held_out.z)]
    images, train = held_out.loc.reshape(-1, 1, 2, 2), DiagonalAggregate(InMemoryCodes(z[0], z[1]))
    start = [Start(parts, z[2], Codes(*z), images, 0, train) for _ in range(2)]
    torch.manual_seed(1)
    state = torch.get_rng_state()
    images, again = (registered()[name].images(own) for own in start)
    assert torch.equal(torch.get_rng_state(), state)
    if images is not None:
        assert images.shape == (NUM, 1, 2, 2)
        assert images.isfinite().all()
        assert torch.equal(images, again)


def test_a_source_that_is_left_out_changes_no_other(vae):
    whole = draw(vae, scale=0.5)
    for omitted in whole:
        part = draw(vae, scale=0.5, omit=(omitted,))
        assert part.keys() == whole.keys() - {omitted}
        assert all(torch.equal(images, whole[name]) for name, images in part.items())


def test_each_source_gives_its_own_images(vae):
    sources = draw(vae, densities={"mixture": Constant()})
    absent = {"prior_batch_statistics", "shuffled_locations", "shuffled_channels"}  # no such layers, and no map
    assert list(sources) == [*(name for name in registered() if name not in absent), "mixture"]
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


@pytest.mark.parametrize("num", [150, 450])
def test_sources_that_need_no_held_out_image_give_as_many_as_there_are_draws(vae, num):
    images = draw(vae, num=num, densities={"mixture": Constant()})
    given = {name: len(own) for name, own in images.items()}
    unlimited = {"prior", "shell_prior", "mixture"} | {name for name in images if name.startswith("aggregate_")}
    unlimited |= {name for name in images if name.startswith("mean_") or name.endswith("_normal")}
    unlimited -= {"aggregate_held_out"}
    assert given == {name: num if name in unlimited else NUM for name in images}


def test_aggregates_are_drawn_with_their_scale(vae):
    sources = draw(vae, scale=0.5)
    noise = sources["aggregate_held_out"] - sources["reconstruction"]
    assert abs(float(noise.std()) - 0.5) < 0.07
    assert torch.equal(sources["reconstruction"], sources["held_out"])


def test_projection_keeps_directions_and_fixes_the_radius(vae):
    sources = draw(vae)
    prior, shell = sources["prior"].flatten(1), sources["shell_prior"].flatten(1)
    assert torch.allclose(shell.norm(dim=1), torch.full((NUM,), math.sqrt(DIM)), rtol=1e-5)
    assert torch.allclose(torch.cosine_similarity(prior, shell), torch.ones(NUM), atol=1e-5)


def test_shuffles_keep_their_units_whole_and_every_marginal(vae):
    """On codes whose number tells image, channel and place apart, each shuffle moves exactly its own units."""
    shape = (2, 1, 2)
    z = torch.arange(NUM)[:, None] * 10.0 + torch.arange(4.0)
    held_out = Codes(z.view(NUM, *shape), torch.zeros(NUM, *shape), z.view(NUM, *shape))
    images = z.reshape(NUM, 1, 2, 2)
    prior = new_vae(
        Cell.from_config({"latent_dim": "2x1x2", "network": {"name": "mlp", "hidden": [8]}}), (1, 8, 8)
    ).prior
    vae = VAE(prior, vae.posterior, vae.likelihood)
    train = DiagonalAggregate(InMemoryCodes(held_out.loc, held_out.scale))
    sources = sample_sources(Start(vae, held_out.z, held_out, images, 0, train), {})
    units = {"shuffled_dimensions": [[0], [1], [2], [3]], "shuffled_locations": [[0, 2], [1, 3]]}
    units["shuffled_channels"] = [[0, 1], [2, 3]]
    for name, groups in units.items():
        shuffled = sources[name].reshape(NUM, 4)
        assert torch.equal(shuffled.sort(0).values, z), name
        image = shuffled.div(10, rounding_mode="floor")
        together = {(a, b) for a in range(4) for b in range(a) if torch.equal(image[:, a], image[:, b])}
        assert together == {(b, a) for group in groups for a, b in [group] * (len(group) == 2)}, name


def test_a_decoder_with_batch_statistics_is_judged_in_both_modes(vae):
    norm = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(DIM, affine=False), nn.Unflatten(1, (1, 2, 2)))

    class Normalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = norm

        def forward(self, z):
            return dist.Normal(self.norm(z + 3.0), 1.0).to_event(3)

    sources = draw(VAE(vae.prior, vae.posterior, Normalised()).eval())
    assert float(sources["prior"].mean()) > 2.5
    assert abs(float(sources["prior_batch_statistics"].mean())) < 1e-4
    assert torch.equal(norm[1].running_mean, torch.zeros(DIM))


def test_seed_and_name_are_the_whole_randomness(vae):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = draw(vae, scale=1.0)
    assert torch.equal(torch.rand(3), expected)
    again, other = draw(vae, densities={"mixture": Constant()}, scale=1.0), draw(vae, seed=1, scale=1.0)
    for name, images in first.items():
        assert torch.equal(images, again[name])
        drawn_here = name in {"prior", "shell_prior", "shuffled_dimensions", "local"} or "normal" in name
        drawn_here |= name in {"mean_negated", "mean_permuted", "mean_random"}
        assert torch.equal(images, other[name]) != drawn_here, name


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
    spatial = Codes(*(tensor.reshape(NUM, 1, 2, 2) for tensor in (codes(0).loc, codes(0).scale, codes(0).z)))
    prior = new_vae(
        Cell.from_config({"latent_dim": "1x2x2", "network": {"name": "mlp", "hidden": [8]}}), (1, 8, 8)
    ).prior
    vae.prior = prior
    train = DiagonalAggregate(InMemoryCodes(spatial.loc, spatial.scale))
    sources = sample_sources(Start(vae, spatial.z, spatial, spatial.loc, 0, train), {"mixture": Constant()})
    assert torch.equal(sources["mixture"].flatten(), torch.arange(NUM * DIM, dtype=torch.float32))


def test_reference_and_starts_are_disjoint_halves():
    reference, starts = reference_split(11, 100)
    assert sorted([*reference.tolist(), *starts.tolist()]) == list(range(11))
    assert (len(reference), len(starts)) == (6, 5)
    assert torch.equal(reference, reference_split(11, 100)[0])
    assert reference.tolist() != reference.sort().values.tolist()


def test_all_held_out_images_that_are_no_starts_are_the_reference():
    reference, starts = reference_split(11, 2)
    assert sorted([*reference.tolist(), *starts.tolist()]) == list(range(11))
    assert (len(reference), len(starts)) == (9, 2)
    assert torch.equal(starts, reference_split(11, 100)[1][-2:])


@pytest.mark.parametrize(("how", "cut"), [("none", False), ("dynamic", False), ("fixed", False), ("threshold", True)])
def test_real_images_are_on_the_scale_of_likelihood_means(how, cut):
    images, labels = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1), torch.tensor([0, 1])
    data = ImageData("pair", images, labels, images, labels, ("a", "b"), "checksum", "none")
    expected = torch.tensor([0.0, 1.0]) if cut else torch.tensor([0.2, 0.8])
    assert torch.equal(realistic(data, how).images.flatten(), expected)
    assert torch.equal(realistic(data, how).held_out_images.flatten(), expected)


def test_what_it_refuses(vae):
    with pytest.raises(ValueError, match="rename it"):
        draw(vae, densities={"prior": Constant()})
