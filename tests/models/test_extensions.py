"""Adding a part of a model is one file: each family gets one more in a copy of the project, and its laws run on it.

The tests that name the new part are run in the copy, where nothing else is changed. Each file of laws has to reach the
part, and none may fail; with a fault in the part one of them must.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@dataclass(frozen=True)
class Extension:
    """One new file.

    path: where in the project. code: what stands in it. laws: test files that must take the part, which they find by
    its name, the stem of the file, in the identifiers of their tests. faults: what replaces what in the code, by the
    name of the fault that the laws must notice.
    """

    path: str
    code: str
    laws: tuple[str, ...]
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the part is called in configurations and in test identifiers."""
        return Path(self.path).stem


POSTERIOR = '''"""Isotropic normal posterior: q(z|x) = N(z; μ(x), s²(x) I)."""

from typing import final

from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import Normal
from models.posteriors import Posterior


@final
class Isotropic(Posterior):
    """One scale for each image, the mean of a map of the encoder."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"
    factorised = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.encoder = context.network.encoder(context.shapes, outputs=2)

    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw = self.encode(images)
        dims = tuple(range(-len(self.latent_shape), 0))
        scale = softplus(raw.mean(dims, keepdim=True)) + 1e-3
        return Normal(loc, scale.expand_as(loc)).to_event(len(self.latent_shape))
'''

LIKELIHOOD = '''"""Laplace likelihood: p(x|z) = Π_i exp(−|x_i − π_i(z)| / b) / 2b."""

from typing import final

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.likelihoods import Likelihood


@final
class AbsoluteError(Likelihood):
    """Independent Laplace pixels of scale 0.1 about a sigmoid of the decoder's map."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.decoder = context.network.decoder(context.shapes, outputs=1)

    def forward(self, latents: Tensor) -> TorchDistribution:
        (raw,) = self.decode(latents)
        loc = raw.sigmoid()
        return dist.Laplace(loc, torch.full_like(loc, 0.1)).to_event(len(self.image_shape))
'''

OBJECTIVE = '''"""ELBO with the square of the rate added."""

from typing import final

from torch import Tensor

from models.objectives import Objective, Pair


@final
class SquaredRate(Objective):
    """Distortion + rate + rate²/100, averaged over images."""

    reference = "Higgins et al. 2017, openreview Sy2fzU9gl"

    def loss(self, pair: Pair) -> Tensor:
        return (pair.distortion + pair.rate + pair.rate.square() / 100).mean()
'''

NETWORK = '''"""Linear bodies."""

import math
from typing import final

from torch import nn

from models.networks import Network
from models.shapes import Shapes


def linear(inputs: tuple[int, ...], outputs: int, shape: tuple[int, ...]) -> nn.Module:
    layer = nn.Linear(math.prod(inputs), outputs * math.prod(shape))
    return nn.Sequential(nn.Flatten(), layer, nn.Unflatten(1, (outputs, *shape)))


@final
class SingleLayer(Network):
    """One dense layer on either side; its author knows nothing of leading dimensions."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return linear(shapes.image_shape, outputs, shapes.latent_shape)

    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return linear(shapes.latent_shape, outputs, shapes.image_shape)
'''

PRIOR = re.search(r"<!-- prior:start -->\n```python\n(.*?)```\n<!-- prior:end -->", README, re.DOTALL)[1]

EXTENSIONS = {
    "prior": Extension(
        "models/priors/laplace.py",
        PRIOR,
        ("tests/models/test_priors.py", "tests/models/test_vae.py", "tests/models/test_inference.py"),
        {"its scale is not learned": ("self.log_scale.exp()", "self.log_scale.detach().exp()")},
    ),
    "posterior": Extension(
        "models/posteriors/isotropic.py",
        POSTERIOR,
        ("tests/models/test_posteriors.py", "tests/models/test_traced_parts.py", "tests/models/test_inference.py"),
        {"draws past the noise": ("from models.distributions import Normal", "from pyro.distributions import Normal")},
    ),
    "likelihood": Extension(
        "models/likelihoods/absolute_error.py",
        LIKELIHOOD,
        ("tests/models/test_likelihoods.py", "tests/models/test_traced_parts.py", "tests/models/test_inference.py"),
        {"rows of pixels are a batch": ("to_event(len(self.image_shape))", "to_event(1)")},
    ),
    "objective": Extension(
        "models/objectives/squared_rate.py",
        OBJECTIVE,
        ("tests/models/test_objectives.py", "tests/models/test_traced_parts.py"),
        {"the decoder is not trained": ("pair.distortion +", "pair.distortion.detach() +")},
    ),
    "network": Extension(
        "models/networks/single_layer.py",
        NETWORK,
        ("tests/models/test_networks.py", "tests/models/test_inference.py"),
        {"mixes the batch": ("nn.Sequential(nn.Flatten()", "nn.Sequential(nn.Softmax(0), nn.Flatten()")},
    ),
}
"""The families of models, each with one more part."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their tests in a folder that may be changed."""
    for name in ("analysis", "models", "study", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run_laws(copy: Path, extension: Extension, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Pytest in the copy with ``code`` added, which finds the copy's packages and no others."""
    target = copy / extension.path
    assert not target.exists()
    target.write_text(code, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-k", extension.name]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(
        [*command, *options, *extension.laws],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", EXTENSIONS)
def test_a_part_is_one_file_under_every_law(family, copy):
    extension = EXTENSIONS[family]
    done = run_laws(copy, extension, extension.code)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    for laws in extension.laws:
        assert f"PASSED {laws}::" in done.stdout, f"no law of {laws} reached {extension.name}"


FAULTS = [(family, fault) for family, extension in EXTENSIONS.items() for fault in extension.faults]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "fault"), FAULTS, ids=[f"{family}: {fault}" for family, fault in FAULTS])
def test_laws_notice_a_faulty_part(family, fault, copy):
    extension = EXTENSIONS[family]
    sound, faulty = extension.faults[fault]
    assert sound in extension.code
    done = run_laws(copy, extension, extension.code.replace(sound, faulty), "-x")
    assert done.returncode == 1, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert "FAILED" in done.stdout
