"""The README's table of priors is the registry, and its example of a prior works as it stands there."""

import re
import sys
from pathlib import Path

import pytest
import torch

from models.context import Context
from models.shapes import Shapes
from study.design.families import NETWORKS, PRIORS
from study.design.parts import resolve
from study.errors import ConfigurationError

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_table_of_priors_is_the_registry():
    section = README.partition("## Swap the prior")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert rows[0] == ["`prior=`", "p(z)", "reference"]
    assert all(len(row) == 3 and row[1] for row in rows)
    references = {name.strip("`"): reference for name, _, reference in rows[2:]}
    assert len(references) == len(rows) - 2
    assert references == {name: PRIORS.signature(name).reference for name in PRIORS}


@pytest.fixture
def _laplace(tmp_path, monkeypatch):
    """Installs the README's file under the README's entry point."""
    code = re.search(r"<!-- prior:start -->\n```python\n(.*?)```\n<!-- prior:end -->", README, re.DOTALL)[1]
    entry = re.search(r'\[project\.entry-points\."latent_study\.priors"\]\n(\w+) = "([\w.]+):(\w+)"', README)
    assert len(code.splitlines()) < 40
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "laplace.py").write_text(code, "utf-8")
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n", "utf-8")
    group = f"[latent_study.priors]\n{entry[1]} = {entry[2]}:{entry[3]}\n"
    (metadata / "entry_points.txt").write_text(group, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for module in ("my_package", "my_package.laplace"):
        sys.modules.pop(module, None)


@pytest.mark.usefixtures("_laplace")
@pytest.mark.parametrize("shape", [(2,), (4, 2, 2)], ids=str)
def test_the_readmes_prior_obeys_the_laws(shape):
    part = resolve("prior", {"name": "laplace", "scale": 0.5})
    assert part.options == {"scale": 0.5}
    assert PRIORS.signature("laplace").reference
    prior = part.create(Context(Shapes(shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(8,))))
    p = prior()
    assert p.event_shape == shape
    assert p.batch_shape == ()
    z = p.sample((50_000,))
    p.log_prob(z[:10]).sum().backward()
    assert prior.log_scale.grad.abs().min() > 0
    q = torch.distributions.Laplace(torch.zeros(shape), 0.5)
    # E|z| = b with standard error b/√n: a scale off by 2 % is detected at five standard errors.
    assert ((z.abs().mean(0) - 0.5).abs() < 5 * 0.5 / 50_000**0.5).all()
    assert torch.allclose(p.log_prob(z), q.log_prob(z).flatten(1).sum(1), rtol=1e-4)


@pytest.mark.usefixtures("_laplace")
def test_the_readmes_prior_refuses_as_others_do():
    context = Context(Shapes((2,), (1, 8, 8)), NETWORKS["mlp"](hidden=(8,)))
    with pytest.raises(ConfigurationError, match=r"prior\.scale must be positive"):
        resolve("prior", {"name": "laplace", "scale": -1.0}).create(context)
    with pytest.raises(ConfigurationError, match="unknown setting"):
        resolve("prior", {"name": "laplace", "scales": 1.0})
