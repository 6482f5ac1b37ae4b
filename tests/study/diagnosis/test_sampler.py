"""The density that is taken away: its code runs where torch and safetensors are all there is, and scores as ours."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from analysis.density_fits import Codes
from analysis.randomness import stream
from study.design.parts import resolve
from study.diagnosis.sampler import write_sampler
from study.errors import ConfigurationError

DENSITIES = [
    "moment_normal",
    {"name": "aggregate_kernel", "bandwidths": (1.0, 1.5)},
    *(
        {"name": "gaussian_mixture", "covariance": kind, "num_components": (3,), "rank": 2}
        for kind in ("diagonal", "full", "tied", "low_rank")
    ),
]

ALONE = """
import sys, builtins
allowed = {"torch", "safetensors", "numpy"} | set(sys.stdlib_module_names)
class Alone:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {"study", "analysis", "models", "pyro", "scipy", "sklearn", "pandas", "xarray", "arviz", "zuko"}:
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Alone())
sys.path[:] = [folder] + [place for place in sys.path if place and place != root]
import torch
from safetensors.torch import load_file, save_file
from sampler import Sampler
own = Sampler(folder)
z = load_file(folder + "/points.safetensors")["z"]
draws = own.sample(4000, torch.Generator().manual_seed(0))
save_file({"log_prob": own.log_prob(z), "draws": draws}, folder + "/there.safetensors")
assert not {"study", "analysis", "models"} & set(sys.modules)
"""


def fitted(density, shape, num=2_000, held_out=200):
    generator = stream(0, "codes of a sampler")
    mixing = torch.randn(6, 6, generator=generator) / 2
    loc = (torch.randn(num + held_out, 6, generator=generator) @ mixing).reshape(-1, *shape) + 1
    scale = torch.rand(loc.shape, generator=generator) / 2 + 0.2
    z = loc + scale * torch.randn(loc.shape, generator=generator)
    own, others = (Codes(loc[part], scale[part], z[part]) for part in (slice(num), slice(num, None)))
    return resolve("density", density).create().fit(own, others, generator), z


@pytest.mark.parametrize(
    "density", DENSITIES, ids=lambda d: d if isinstance(d, str) else "-".join(map(str, d.values()))
)
def test_the_code_alone_scores_and_samples_as_we_do(tmp_path, density):
    fit, z = fitted(density, (2, 3))
    folder = write_sampler("own", fit, tmp_path / "out")
    save_file({"z": z[:50].contiguous()}, folder / "points.safetensors")
    root = str(__import__("pathlib").Path(__file__).parents[3])
    code = f"folder, root = {str(folder)!r}, {root!r}\n{ALONE}"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    from safetensors.torch import load_file

    there = load_file(folder / "there.safetensors")
    torch.testing.assert_close(there["log_prob"], fit.log_prob(z[:50]), rtol=1e-5, atol=2e-4)
    assert there["draws"].shape == (4000, 2, 3)
    ours = fit.sample(4000, stream(0, "draws of ours"))
    torch.testing.assert_close(there["draws"].mean(0), ours.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(there["draws"].std(0), ours.std(0), rtol=0.1, atol=0.0)


def test_a_normal_kept_as_diagonal_plus_factor_is_taken_away_too(tmp_path):
    from study.diagnosis.standalone import Sampler

    generator = stream(0, "few codes of many dimensions")
    loc = torch.randn(30, 40, generator=generator)
    own = Codes(loc, torch.full_like(loc, 0.5), loc + 0.1)
    fit = resolve("density", "moment_normal").create().fit(own, own, generator)
    sampler = Sampler(write_sampler("own", fit, tmp_path))
    torch.testing.assert_close(sampler.log_prob(loc), fit.log_prob(loc))
    torch.testing.assert_close(
        sampler.sample(4000, generator).std(0), fit.sample(4000, generator).std(0), rtol=0.15, atol=0
    )


def test_what_is_no_mixture_of_normals_says_so(tmp_path):
    fit, _ = fitted({"name": "flow", "max_epochs": 1}, (6,), num=60, held_out=20)
    with pytest.raises(ConfigurationError, match="no mixture of normals"):
        write_sampler("flow", fit, tmp_path)
