"""Codes, images and functions that cannot be what they should be end in one sentence that says what they look like."""

import io
import os
import tracemalloc
import zipfile

import netCDF4
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from analysis.randomness import stream
from study.cli import main
from study.diagnosis import diagnose
from study.diagnosis.arrays import read_arrays
from study.diagnosis.codes import from_arrays, from_file
from study.diagnosis.diagnose import evaluation
from study.diagnosis.parts import context_of
from study.diagnosis.prior import prior_of, ready_priors
from study.errors import ConfigurationError, DataError, EnvironmentFault, StudyError

FEW = evaluation(draws=20, samples=20, densities=())


def codes(num=60, dim=3, **changed):
    generator = np.random.Generator(np.random.PCG64(0))
    arrays = {
        "loc": generator.normal(size=(num, dim)).astype(np.float32),
        "scale": np.full((num, dim), 0.5, np.float32),
    }
    arrays |= changed
    return {name: array for name, array in arrays.items() if array is not None}


def with_nan():
    arrays = codes()
    arrays["loc"][[3, 7], 1] = np.nan
    return arrays


def scales(value, name="scale"):
    spread = np.full((60, 3), 0.5, np.float32)
    spread[5, 2] = value
    return codes(**{"scale": None, name: spread})


BAD = {
    "nan": (with_nan(), ["not finite in 2 of 60 rows (3, 7)"]),
    "constant": (codes(loc=np.ones((60, 3), np.float32)), ["have the same mean"]),
    "few": (codes(num=49), ["at least 50", "got 49"]),
    "shapes": (codes(scale=np.ones((60, 4), np.float32)), ["one shape", "(60, 4)"]),
    "zero scale": (scales(0.0), ["standard deviations of 0"]),
    "tiny scale": (scales(1e-40), ["below 1e-06", "without noise"]),
    "log-variances of no noise": (scales(-200.0, "log_variance"), ["below 1e-06"]),
    "huge loc": (codes(loc=np.linspace(-1e30, 1e30, 180).reshape(60, 3)), ["as large as 1e+30"]),
    "large scale": (scales(101.0), ["above 100", "look like variances"]),
    "log-variances as scale": (scales(-2.0), ["negative", "look like log-variances", "name the array log_variance"]),
    "log-variances as variance": (scales(-2.0, "variance"), ["look like log-variances"]),
    "raw log-variances": (scales(30.0, "log_variance"), ["above 100", "scale or variance"]),
    "two scales": (codes(variance=np.ones((60, 3), np.float32)), ["one of scale, log_variance, variance"]),
    "no scale": (codes(scale=None), ["loc and one of scale, log_variance, variance"]),
    "no loc": (codes(loc=None), ["must hold loc"]),
    "weights": (codes(weights=np.ones(60)), ["weights", "resample"]),
    "unknown": (codes(sigma=np.ones(60)), ["sigma", "leave it out"]),
    "integers": (codes(loc=np.ones((60, 3), np.int64)), ["floating-point"]),
    "vector": (codes(loc=np.ones(60, np.float32)), ["(N, *latent_shape)"]),
    "held-out shape": (
        codes(held_out_loc=np.random.default_rng(0).normal(size=(60, 4)), held_out_scale=np.ones((60, 4))),
        ["one model"],
    ),
    "half of held-out": (codes(held_out_loc=np.ones((60, 3))), ["held_out_loc and one of held_out_scale"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_codes_end_in_a_sentence(name):
    arrays, words = BAD[name]
    with pytest.raises(DataError) as caught:
        from_arrays(arrays)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_scales_by_every_name_are_the_same():
    sd = np.full((60, 3), 0.5, np.float32)
    named = {"scale": sd, "variance": sd**2, "log_variance": 2 * np.log(sd)}
    for name, spread in named.items():
        own, _, _ = from_arrays(codes(**({"scale": None} | {name: spread})))
        torch.testing.assert_close(own.at(torch.arange(4))[1], torch.full((4, 3), 0.5))


def test_a_seeded_split_is_said_and_held_out_codes_are_used():
    own, held_out, said = from_arrays(codes(num=100))
    assert (len(own), len(held_out)) == (80, 20)
    assert "20 of 100 were set aside by a seeded split" in said
    others = {f"held_out_{name}": array for name, array in codes(num=70).items()}
    own, held_out, said = from_arrays(codes(num=100) | others)
    assert (len(own), len(held_out)) == (100, 70)
    assert "held-out codes were given: 70" in said


@pytest.mark.parametrize("kind", ["npz", "compressed.npz", "safetensors", "nc", "zarr"])
def test_files_of_every_kind_hold_the_same_codes(tmp_path, kind):
    arrays, path = codes(), tmp_path / f"codes.{kind}"
    if kind == "nc":
        import xarray as xr

        xr.Dataset({name: (("row", "dim"), array) for name, array in arrays.items()}).to_netcdf(path)
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(path, mode="w")
        for name, array in arrays.items():
            group.create_array(name, data=array)
    elif kind == "safetensors":
        save_file(arrays, path)
    else:
        (np.savez_compressed if "compressed" in kind else np.savez)(path, **arrays)
    read = read_arrays(path)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    if kind in {"npz", "safetensors"}:
        assert isinstance(read["loc"], np.memmap)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_codes_that_lie_in_a_file_take_no_memory(tmp_path):
    def resident():
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    num, dim = 20_000, 1_024
    path = tmp_path / "codes.npz"
    generator = np.random.default_rng(0)
    np.savez(path, loc=generator.random((num, dim), np.float32), scale=np.full((num, dim), 0.5, np.float32))
    before, most = resident(), 0
    codes_of_file, _, _ = from_file(path)
    most = max(most, resident() - before)
    for rows in torch.arange(len(codes_of_file)).split(500):
        codes_of_file.at(rows)
        most = max(most, resident() - before)
    assert most < num * dim * 8 / 3  # of both arrays, which a mapping that keeps its pages would hold


def test_files_that_are_none_end_in_a_sentence(tmp_path):
    objects = tmp_path / "objects.npz"
    np.savez(objects, loc=np.array([{"a": 1}], dtype=object))
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"PK\x03\x04 and no more")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(b"\xff" * 16)
    evil = tmp_path / "evil.npz"
    with zipfile.ZipFile(evil, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**3)})
        archive.writestr("loc.npy", header.getvalue())
    for path, word in (
        (objects, "pickle"),
        (damaged, "cannot be read"),
        (cut, "no file of safetensors"),
        (evil, "cannot be read"),
        (tmp_path / "absent.npz", "does not exist"),
        (tmp_path / "codes.pt", "ends in none of"),
    ):
        with pytest.raises(DataError, match=word):
            from_file(path)


def test_the_command_line_says_it_in_one_sentence(tmp_path, capsys):
    np.savez(tmp_path / "codes.npz", **scales(-2.0))
    assert main(["diagnose", str(tmp_path / "codes.npz")]) == DataError.exit_code
    first, error = capsys.readouterr().err.splitlines()
    assert first.startswith("diagnosing codes.npz")
    assert error.startswith("error: ")
    assert "look like log-variances" in error
    np.savez(tmp_path / "codes.npz", **codes())
    assert main(["diagnose", str(tmp_path / "codes.npz"), "--prior", "vamp"]) == ConfigurationError.exit_code
    assert "learned with a model" in capsys.readouterr().err
    assert main(["diagnose", str(tmp_path / "codes.npz"), "--prior", "vampp"]) == ConfigurationError.exit_code
    assert "unknown prior 'vampp'" in capsys.readouterr().err
    (tmp_path / "file").touch()
    for option in ("--results", "--sampler"):
        words = ["diagnose", str(tmp_path / "codes.npz"), option, str(tmp_path / "file" / "folder")]
        assert main(words) == EnvironmentFault.exit_code
        shown = capsys.readouterr()
        assert option in shown.err
        assert "draws under" not in shown.err  # said before anything is computed


def images(num=80):
    return torch.rand(num, 1, 6, 6, generator=stream(0, "images"))


def encode(x):
    return x.flatten(1)[:, :2].float(), torch.full((len(x), 2), 0.5)


def decode(z):
    return z.sigmoid().mean(1)[:, None, None, None].expand(-1, 1, 6, 6)


class Varying:
    """An encoder whose latent shape depends on the number of images."""

    def __call__(self, x):
        width = 2 if len(x) == 64 else 3
        return x.flatten(1)[:, :width], torch.full((len(x), width), 0.5)


MODELS = {
    "not codes": ((lambda x: encode(x)[0], None, images()), "must give (loc, scale) or a distribution"),
    "shapes of blocks": ((Varying(), None, images(600)), "for another"),
    "noise": ((lambda x: (encode(x)[0] + torch.randn(len(x), 2), encode(x)[1]), None, images()), "two passes"),
    "dropout": ((nn.Sequential(nn.Flatten(), nn.Dropout(0.5)), None, images()), "must give (loc, scale)"),
    "tiny scale": ((lambda x: (encode(x)[0], encode(x)[1] * 1e-9), None, images()), "between 1e-06 and 100"),
    "huge means": ((lambda x: (encode(x)[0] * 1e12, encode(x)[1]), None, images()), "beyond 1e+06"),
    "log-variances": ((lambda x: (encode(x)[0], -encode(x)[1]), None, images()), "look like log-variances"),
    "nan": ((lambda x: (encode(x)[0] / 0 * 0, encode(x)[1]), None, images()), "not finite"),
    "per-dimension distribution": (
        (lambda x: MultivariateNormal(encode(x)[0][:, None], torch.eye(2)), None, images()),
        "batch shape",
    ),
    "bytes": ((encode, decode, (images() * 255).to(torch.uint8)), "divide by 255"),
    "255": ((encode, decode, images() * 255), "[0, 255]"),
    "minus one": ((encode, decode, images() * 2 - 1), "where [0, 1] is expected"),
    "decoder's shape": (
        (encode, lambda z: decode(z)[..., :5], images()),
        "(1, 6, 5) where the given ones are (1, 6, 6)",
    ),
    "decoder's logits": ((encode, lambda z: decode(z) * 40 - 25, images()), "link='sigmoid'"),
    "decoder's bytes": ((encode, lambda z: decode(z) * 255, images()), "divide by 255"),
    "decoder's range": ((encode, lambda z: decode(z) * 2 - 2, images()), "link='tanh'"),
    "few images": ((encode, None, images(49)), "at least 50 images"),
}


@pytest.mark.parametrize("name", MODELS)
def test_bad_models_end_in_a_sentence(name):
    (own_encode, own_decode, own_images), words = MODELS[name]
    with pytest.raises(DataError) as caught:
        diagnose(own_encode, own_decode, images=own_images, evaluate=FEW)
    message = str(caught.value)
    assert all(word in message for word in [words.replace("[0, 255]", "255")]), message


def test_labels_that_do_not_fit_end_in_a_sentence():
    with pytest.raises(DataError, match="one for each"):
        diagnose(encode, images=images(), labels=torch.zeros(3), evaluate=FEW)
    with pytest.raises(DataError, match="held_out_labels"):
        diagnose(encode, images=images(), held_out=images(60), labels=torch.zeros(80).long(), evaluate=FEW)
    with pytest.raises(DataError, match="one shape"):
        diagnose(encode, images=images(), held_out=torch.rand(60, 1, 5, 6), evaluate=FEW)


def test_priors_by_name_by_file_and_as_they_are(tmp_path):
    context = context_of((2,))
    assert "standard_normal" in ready_priors()
    assert "vamp" not in ready_priors()
    mixture = tmp_path / "mixture.npz"
    loc, scale = np.array([[0.0, 0], [3, 1]]), np.array([[1.0, 1], [0.5, 2]])
    np.savez(mixture, weights=np.array([1.0, 3.0]), loc=loc, scale=scale)
    z = torch.randn(7, 2, generator=stream(0, "points"))
    parts = [Normal(torch.tensor(m), torch.tensor(s)).log_prob(z).sum(1) for m, s in zip(loc, scale, strict=True)]
    expected = torch.logaddexp(parts[0] + np.log(0.25), parts[1] + np.log(0.75))
    torch.testing.assert_close(prior_of(mixture, context)().log_prob(z).double(), expected, rtol=1e-5, atol=1e-5)
    for bad in (
        {"weights": np.ones(2), "loc": loc},
        {"weights": np.ones(2), "loc": loc, "scale": -scale},
        {"weights": -np.ones(2), "loc": loc, "scale": scale},
        {"weights": np.ones(2), "loc": loc[:, :1], "scale": scale},
    ):
        np.savez(mixture, **bad)
        with pytest.raises(DataError, match="mixture"):
            prior_of(mixture, context)
    with pytest.raises(ConfigurationError, match="over latents"):
        prior_of(Normal(torch.zeros(3), 1.0), context)


def test_errors_are_of_the_kinds_that_the_command_line_reports():
    assert all(issubclass(kind, StudyError) for kind in (DataError, ConfigurationError, EnvironmentFault))


def test_a_model_in_double_precision_is_fed_in_its_own():
    encoder, decoder = torch.nn.Linear(64, 4).double(), torch.nn.Linear(2, 64).double()

    def encode(batch):
        loc, raw = encoder(batch.flatten(1)).chunk(2, dim=1)
        return loc, raw.exp()

    def decode(z):
        return decoder(z).sigmoid().view(-1, 1, 8, 8)

    images = torch.rand(100, 1, 8, 8, generator=stream(0, "double"))
    answer = diagnose(encode, decode, images=images, evaluate=evaluation(draws=50, densities=()))
    assert "Does it matter for samples?" in str(answer)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".nc", ".zarr"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
def test_what_is_no_file_is_not_waited_for(tmp_path, suffix, make):
    path = tmp_path / f"codes{suffix}"
    make(path)
    with pytest.raises(DataError):
        read_arrays(path)


def _npz_bomb(path):
    """A gigabyte of zeros, in a megabyte."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**20, 256)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("loc.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(2**6):
            member.write(bytes(2**24))


def _many_members(path):
    """Twenty arrays of 4 MB, small each and large together."""
    zeros = np.zeros(2**20, np.float32)
    np.savez_compressed(path, **{f"a{number}": zeros for number in range(20)})


def _netcdf_bomb(path):
    """Sixteen gigabytes that no chunk of the file holds."""
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("n", 2**22)
        dataset.createDimension("d", 2**10)
        dataset.createVariable("loc", "f4", ("n", "d"), zlib=True)


def _coordinate_bomb(path):
    """The same as a coordinate, which is read when a file is opened."""
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("n", 2**31)
        dataset.createVariable("n", "f8", ("n",), zlib=True)


BOMBS = {
    "bomb.npz": _npz_bomb,
    "many.npz": _many_members,
    "bomb.nc": _netcdf_bomb,
    "coordinate.nc": _coordinate_bomb,
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_a_small_file_unpacks_to_is_bounded_before_it_is(tmp_path, name, capsys):
    BOMBS[name](tmp_path / name)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"would take [\d,]+ in memory, where [\d,]+ are allowed"):
            read_arrays(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert main(["diagnose", str(tmp_path / name)]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 2  # that it begins, and the error


def test_what_compresses_as_codes_do_is_read(tmp_path):
    arrays = codes(num=2_000, dim=100)
    np.savez_compressed(tmp_path / "codes.npz", **arrays)
    read = read_arrays(tmp_path / "codes.npz")
    assert all((read[name] == array).all() for name, array in arrays.items())
