import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes, StreamedCodes
from analysis.aggregate import diagonal as diagonal_module

SHAPE = (2, 3, 2)
# Largest difference, in nats, between float32 and float64 for the 12-dimensional codes below.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes(num: int = 40, shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = seeded(3)
    loc = torch.randn(num, *shape, generator=generator, dtype=torch.float64)
    scale = 0.2 + 0.6 * torch.rand(num, *shape, generator=generator, dtype=torch.float64)
    return loc.to(dtype), scale.to(dtype)


def tensors(loc: Tensor, scale: Tensor) -> DiagonalAggregate:
    return DiagonalAggregate(InMemoryCodes(loc, scale))


def blocks_of_seven(loc: Tensor, scale: Tensor) -> DiagonalAggregate:
    return DiagonalAggregate(StreamedCodes(lambda rows: (loc[rows], scale[rows]), len(loc), loc.device, block=7))


@pytest.fixture(params=[tensors, blocks_of_seven], ids=["tensors", "blocks"])
def build(request) -> Callable[[Tensor, Tensor], DiagonalAggregate]:
    return request.param


def oracle(loc: Tensor, scale: Tensor) -> MixtureSameFamily:
    loc, scale = loc.double().flatten(1), scale.double().flatten(1)
    return MixtureSameFamily(Categorical(logits=torch.zeros(len(loc)).double()), Independent(Normal(loc, scale), 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1,), (12,), SHAPE])
def test_densities_match_the_float64_mixture(build, shape, dtype):
    loc, scale = codes(shape=shape, dtype=dtype)
    aggregate = build(loc, scale)
    z, own = aggregate.sample(25, seeded())
    index = torch.arange(len(loc))
    without = [
        oracle(loc[index != n], scale[index != n]).log_prob(z[i].double().flatten()) for i, n in enumerate(own.tolist())
    ]
    posterior = Independent(Normal(loc[own].double(), scale[own].double()), len(shape))
    expected = oracle(loc, scale).log_prob(z.double().flatten(1))
    tolerance = {"rtol": 0, "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(aggregate.log_prob(z), expected, **tolerance)
    torch.testing.assert_close(aggregate.log_prob_both(z, own), (expected, torch.stack(without)), **tolerance)
    torch.testing.assert_close(aggregate.component_log_prob(z, own), posterior.log_prob(z.double()), **tolerance)
    assert (aggregate.num_components, aggregate.latent_shape, aggregate.latent_dim) == (40, shape, math.prod(shape))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_and_tensors_are_the_same_aggregate(dtype):
    one, other = (form(*codes(dtype=dtype)) for form in (tensors, blocks_of_seven))
    for name, arguments in (("sample", (30,)), ("sample_per_image", (3,))):
        (z, component), again = (getattr(form, name)(*arguments, seeded(5)) for form in (one, other))
        assert torch.equal(z, again[0])
        assert torch.equal(component, again[1])
        assert (z.dtype, z.shape[1:]) == (dtype, SHAPE)
    torch.testing.assert_close(one.log_prob_both(z, component), other.log_prob_both(z, component), rtol=0, atol=1e-6)
    torch.testing.assert_close(one.mean, other.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.marginal_variance, other.marginal_variance, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.covariance(), other.covariance(), rtol=0, atol=1e-12)


def test_one_pass_serves_all_points():
    loc, scale = codes()
    encoded = []

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        encoded.extend(rows.tolist())
        return loc[rows], scale[rows]

    aggregate = DiagonalAggregate(StreamedCodes(encode, len(loc), loc.device, block=9))
    z, own = aggregate.sample(200, seeded())
    encoded.clear()
    aggregate.log_prob_both(z, own)
    assert encoded == list(range(40))


def test_a_single_component(build):
    loc, scale = codes(1)
    aggregate = build(loc, scale)
    z, own = aggregate.sample(10, seeded())
    assert bool((own == 0).all())
    torch.testing.assert_close(aggregate.log_prob(z), aggregate.component_log_prob(z, own), rtol=0, atol=1e-12)
    assert bool((aggregate.log_prob_both(z, own)[1] == -math.inf).all())


def test_duplicating_the_data(build):
    loc, scale = codes()
    once, twice = build(loc, scale), build(torch.cat([loc, loc]), torch.cat([scale, scale]))
    z, own = once.sample(20, seeded())
    torch.testing.assert_close(twice.log_prob(z), once.log_prob(z), rtol=0, atol=1e-12)
    torch.testing.assert_close(twice.covariance(), once.covariance(), rtol=0, atol=1e-12)
    # The twin keeps q(z|x_own) among the others: q_{−own} = (2N q_N − q(z|x_own)) / (2N − 1).
    expected = (80 * once.log_prob(z).exp() - once.component_log_prob(z, own).exp()).log() - math.log(79)
    torch.testing.assert_close(twice.log_prob_both(z, own)[1], expected, rtol=0, atol=1e-10)


def test_adding_a_far_copy_costs_ln_2(build):
    loc, scale = codes()
    z, _ = build(loc, scale).sample(20, seeded())
    apart = build(torch.cat([loc, loc + 1e4]), torch.cat([scale, scale]))
    expected = build(loc, scale).log_prob(z) - math.log(2)
    torch.testing.assert_close(apart.log_prob(z), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_order_of_images_and_dimensions_does_not_matter(build, dtype):
    loc, scale = (code.flatten(1) for code in codes(dtype=dtype))
    images, dims = torch.randperm(40, generator=seeded()), torch.randperm(12, generator=seeded())
    z, own = build(loc, scale).sample(20, seeded())
    moved = build(loc[images][:, dims], scale[images][:, dims])
    both = moved.log_prob_both(z[:, dims], images.argsort()[own])
    torch.testing.assert_close(both, build(loc, scale).log_prob_both(z, own), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(("dtype", "dims", "tolerance"), [(torch.float64, 500, 1e-9), (torch.float32, 65_524, 1e-2)])
def test_inert_dimensions_do_not_change_the_ratio_to_the_prior(dtype, dims, tolerance):
    loc, scale = (code.flatten(1) for code in codes(dtype=dtype))
    z, own = DiagonalAggregate(InMemoryCodes(loc, scale)).sample(10, seeded())
    inert = torch.zeros(40, dims, dtype=dtype)
    noise = torch.randn(10, dims, generator=seeded(), dtype=dtype)
    padded = DiagonalAggregate(InMemoryCodes(torch.cat([loc, inert], 1), torch.cat([scale, inert + 1], 1)))
    log_prior = Normal(0.0, 1.0).log_prob(noise.double()).sum(1)
    both = padded.log_prob_both(torch.cat([z, noise], 1), own)
    expected = DiagonalAggregate(InMemoryCodes(loc, scale)).log_prob_both(z, own)
    for one, other in zip(both, expected, strict=True):
        torch.testing.assert_close(one - log_prior, other, rtol=0, atol=tolerance)


def test_moments_are_exact(build, monkeypatch):
    monkeypatch.setattr(diagonal_module, "ROW_ELEMENTS", 60)
    loc, scale = codes()
    loc += 1e6
    aggregate = build(loc, scale)
    flat, variance = loc.flatten(1), scale.flatten(1).square().mean(0)
    torch.testing.assert_close(aggregate.mean, flat.mean(0), rtol=1e-14, atol=0)
    expected = torch.cov(flat.T, correction=0) + variance.diag()
    torch.testing.assert_close(aggregate.covariance(), expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(aggregate.marginal_variance, expected.diagonal(), rtol=0, atol=1e-8)


def test_moments_of_float32_codes_are_float64():
    aggregate = DiagonalAggregate(InMemoryCodes(*codes(dtype=torch.float32)))
    moments = aggregate.mean, aggregate.marginal_variance, aggregate.covariance()
    assert {moment.dtype for moment in moments} == {torch.float64}


def test_draws_have_the_moments_of_the_mixture():
    """5 standard errors of 40,000 draws: finds a mean off by 0.03 and a variance off by 4 %."""
    aggregate = DiagonalAggregate(InMemoryCodes(*codes()))
    num = 40_000
    for z, _ in (aggregate.sample(num, seeded()), aggregate.sample_per_image(num // 40, seeded())):
        deviation = z.flatten(1) - aggregate.mean
        error = (aggregate.marginal_variance / num).sqrt()
        assert bool((deviation.mean(0).abs() < 5 * error).all())
        squares = deviation.square()
        assert bool(((squares.mean(0) - aggregate.marginal_variance).abs() < 5 * squares.std(0) / num**0.5).all())


def test_draws_come_from_the_component_they_name():
    """5 standard errors of 4,000 standardised residuals per dimension: finds any bias above 0.08."""
    loc, scale = codes()
    aggregate = DiagonalAggregate(InMemoryCodes(loc, scale))
    z, component = aggregate.sample(4_000, seeded())
    residual = ((z - loc[component]) / scale[component]).flatten(1)
    assert bool((residual.mean(0).abs() < 5 / 4_000**0.5).all())
    assert bool(((residual.var(0) - 1).abs() < 5 * (2 / 4_000) ** 0.5).all())
    counts = component.bincount(minlength=40).double()
    # χ²_39 exceeds 101 with probability 1e-7: finds a component drawn 60 % too often.
    assert float((counts - 100).square().sum() / 100) < 101


def test_normalisation_under_the_moment_matched_gaussian():
    """E_G[q_N/G] = 1 within 5 standard errors of 20,000 draws (about 0.03): finds a normaliser off by ln 1.05."""
    aggregate = DiagonalAggregate(InMemoryCodes(*codes(shape=(2,))))
    gaussian = MultivariateNormal(aggregate.mean, 1.5 * aggregate.covariance())
    torch.manual_seed(0)
    z = gaussian.sample((20_000,))
    ratio = (aggregate.log_prob(z) - gaussian.log_prob(z)).exp()
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / 20_000**0.5


def test_samples_depend_on_the_generator_alone(build):
    aggregate = build(*codes())
    torch.manual_seed(0)
    first = aggregate.sample(20, seeded(1))
    torch.manual_seed(1)
    again, other = aggregate.sample(20, seeded(1)), aggregate.sample(20, seeded(2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


def test_stratified_draws(build):
    aggregate = build(*codes())
    _, component = aggregate.sample_per_image(2, seeded())
    assert torch.equal(component, torch.arange(40).repeat_interleave(2))
    z, component = aggregate.sample_per_image(3, seeded(), indices=torch.tensor([17, 4]))
    assert component.tolist() == [17, 17, 17, 4, 4, 4]
    assert z.shape == (6, *SHAPE)


def test_subset(build):
    loc, scale = codes()
    chosen = torch.tensor([31, 2, 2, 16])
    subset = build(loc, scale).subset(chosen)
    assert torch.equal(subset.bubbles().loc, loc[chosen])
    assert torch.equal(subset.bubbles().scale, scale[chosen])


@pytest.mark.parametrize("last", [9, 10, 12, 39])
def test_only_the_codes_that_are_asked_for_are_encoded(last):
    loc, scale = codes()
    encoded = []

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        encoded.extend(rows.tolist())
        return loc[rows], scale[rows]

    aggregate = DiagonalAggregate(StreamedCodes(encode, 40, loc.device, block=10))
    indices = torch.tensor([last, 0])
    encoded.clear()
    z, _ = aggregate.sample_per_image(1, seeded(), indices)
    assert encoded == [last, 0]
    assert torch.equal(z, tensors(loc, scale).sample_per_image(1, seeded(), indices)[0])


def test_few_codes_are_selected_at_a_time(build, monkeypatch):
    loc, scale = codes()
    aggregate = build(loc, scale)
    z, own = aggregate.sample(50, seeded())
    expected = aggregate.component_log_prob(z, own)
    monkeypatch.setattr("analysis.aggregate.codes.ROW_ELEMENTS", 3 * aggregate.latent_dim)
    assert torch.equal(aggregate.sample(50, seeded())[0], z)
    assert torch.equal(aggregate.component_log_prob(z, own), expected)
    assert torch.equal(aggregate.bubbles().scale, scale)
    assert torch.equal(aggregate.component_moments().loc, loc)


def test_codes_that_require_grad_are_read_without_gradient():
    loc, scale = codes(dtype=torch.float32)
    aggregate = DiagonalAggregate(InMemoryCodes(loc.requires_grad_(), scale.requires_grad_()))
    z, own = aggregate.sample(5, seeded())
    for value in (z, *aggregate.log_prob_both(z, own), aggregate.component_log_prob(z, own), aggregate.mean):
        assert not value.requires_grad


def test_refuses_a_covariance_that_cannot_be_held():
    loc = torch.zeros(2, 8, 8, 1024)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, loc + 1))
    with pytest.raises(ValueError, match=r"D ≤ 8192; got D = 65536, or 34 GB: use marginal_variance"):
        aggregate.covariance()
    torch.testing.assert_close(aggregate.marginal_variance, torch.ones(65_536, dtype=torch.float64), rtol=0, atol=0)


def test_refuses_streams_that_change():
    loc, scale = codes()

    def thirty(rows: Tensor) -> tuple[Tensor, Tensor]:
        few = rows[rows < 30]
        return loc[few], scale[few]

    aggregate = DiagonalAggregate(StreamedCodes(thirty, 40, loc.device, block=20))
    with pytest.raises(ValueError, match=r"\(20, 2, 3, 2\) of 20 images at every call; got \(10, 2, 3, 2\)"):
        aggregate.log_prob(loc[:2])
    with pytest.raises(ValueError, match=r"\(1, 2, 3, 2\) of 1 images at every call; got \(0, 2, 3, 2\)"):
        aggregate.subset(torch.tensor([31]))
    with pytest.raises(ValueError, match="at least one component"):
        StreamedCodes(thirty, 0, loc.device, block=20)


def test_refuses_codes_and_points_that_do_not_fit():
    loc, scale = codes()
    with pytest.raises(ValueError, match="share one shape"):
        DiagonalAggregate(InMemoryCodes(loc, scale[:3]))
    with pytest.raises(ValueError, match="share one shape"):
        DiagonalAggregate(InMemoryCodes(loc[:, 0, 0, 0], scale[:, 0, 0, 0]))
    with pytest.raises(ValueError, match="at least one component"):
        DiagonalAggregate(InMemoryCodes(loc[:0], scale[:0]))
    aggregate = DiagonalAggregate(InMemoryCodes(loc, scale))
    for z in (loc[0], loc.flatten(1), loc.float()):
        with pytest.raises(ValueError, match=r"z must be \(M, 2, 3, 2\) in torch.float64 on cpu"):
            aggregate.log_prob(z)
    for own in (torch.tensor([0]), torch.tensor([0.0, 1.0])):
        with pytest.raises(ValueError, match=r"components must be int64 \(2,\)"):
            aggregate.log_prob_both(loc[:2], own)
    for own in (torch.tensor([0, 40]), torch.tensor([-1, 2])):
        with pytest.raises(ValueError, match=r"components must lie in 0 … 39"):
            aggregate.component_log_prob(loc[:2], own)


def test_refuses_scales_that_are_not_positive():
    loc, scale = codes()
    with pytest.raises(ValueError, match="scale must be positive"):
        DiagonalAggregate(InMemoryCodes(loc, -scale)).log_prob(loc[:2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_codes_match_the_float64_mixture(build, dtype):
    loc, scale = codes(dtype=dtype)
    aggregate = build(loc.cuda(), scale.cuda())
    z, own = aggregate.sample(25, seeded())
    assert z.is_cuda
    expected = oracle(loc, scale).log_prob(z.cpu().double().flatten(1))
    torch.testing.assert_close(aggregate.log_prob_both(z, own)[0].cpu(), expected, rtol=0, atol=1e-9)
