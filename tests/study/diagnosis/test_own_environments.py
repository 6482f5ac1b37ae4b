"""A diagnosis beside each package that it is for, in an environment of its own with the extra of that name; and the
sampler where torch and safetensors are all there is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from analysis.density_fits import Codes
from analysis.randomness import stream
from study.design.parts import resolve
from study.diagnosis.sampler import write_sampler

ROOT = Path(__file__).parents[3]
HERE = "tests/study/diagnosis"

INSIDE = {
    "diffusers": f"{HERE}/test_adapters.py::test_diffusers_codes_are_those_in_which_people_sample",
    "pythae": f"{HERE}/test_adapters.py::test_a_pythae_vae_trained_on_mnist_is_diagnosed",
    "scvi": f"{HERE}/test_adapters.py::test_scvi_models_give_the_codes_of_their_cells",
    "zarr": f"{HERE}/test_bad_input.py::test_files_of_every_kind_hold_the_same_codes[zarr]",
}
"""The test that runs in the environment of each extra."""


def run(*words, **settings):
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=kept, **settings)


def environment(folder, *packages):
    """The interpreter of a new environment with ``packages``; where they cannot be had, the test is skipped."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which makes environments, is not installed")
    made, filled = ["venv", "--python", sys.executable, folder], ["pip", "install", "--python", folder, *packages]
    for words in (made, filled):
        done = run(uv, *words, cwd=ROOT)
        if done.returncode:
            pytest.skip(f"{' '.join(packages)} cannot be had: {done.stderr.strip()[-300:]}")
    return str(folder / "bin" / "python")


@pytest.mark.slow
@pytest.mark.parametrize("extra", INSIDE)
def test_each_extra_works_in_an_environment_of_its_own(tmp_path, extra):
    python = environment(tmp_path / "environment", "-e", f"{ROOT}[{extra}]", "pytest", "pytest-timeout")
    done = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "slow or not slow", INSIDE[extra], cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout


ALONE = """
import importlib.metadata, json, sys
sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import load_file
from sampler import Sampler
absent = {"latent-study", "pyro-ppl", "scipy", "numpy", "scikit-learn"}
assert not absent & {each.metadata["Name"].lower() for each in importlib.metadata.distributions()}
own = Sampler(sys.argv[1])
z = load_file(sys.argv[1] + "/points.safetensors")["z"]
draws = own.sample(4000, torch.Generator().manual_seed(0))
print(json.dumps({"log_prob": own.log_prob(z).tolist(), "shape": draws.shape, "mean": draws.double().mean(0).tolist()}))
"""


@pytest.mark.slow
def test_the_sampler_needs_torch_and_safetensors_alone(tmp_path):
    versions = [f"{name}=={__import__(name).__version__.partition('+')[0]}" for name in ("torch", "safetensors")]
    python = environment(tmp_path / "environment", *versions)
    generator = stream(0, "codes of a sampler alone")
    loc = torch.randn(600, 2, 3, generator=generator) @ torch.randn(3, 3, generator=generator) + 1
    scale = torch.rand(loc.shape, generator=generator) / 2 + 0.2
    z = loc + scale * torch.randn(loc.shape, generator=generator)
    own, others = (Codes(loc[part], scale[part], z[part]) for part in (slice(500), slice(500, None)))
    for name in ("moment_normal", "aggregate_kernel", "gaussian_mixture"):
        fit = resolve("density", name).create().fit(own, others, generator)
        folder = write_sampler(name, fit, tmp_path / name)
        save_file({"z": z[:50].contiguous()}, folder / "points.safetensors")
        done = run(python, "-I", "-W", "ignore", "-c", ALONE, str(folder), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        there = json.loads(done.stdout)
        assert there["log_prob"] == pytest.approx(fit.log_prob(z[:50]).tolist(), rel=1e-5, abs=2e-4)
        assert there["shape"] == [4000, 2, 3]
        ours = fit.sample(4000, stream(0, "draws of ours")).double().mean(0)
        torch.testing.assert_close(torch.tensor(there["mean"], dtype=torch.float64), ours, rtol=0, atol=0.15)
