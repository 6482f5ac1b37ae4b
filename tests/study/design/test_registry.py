"""Registry: parts from files and from installed packages, and the names that it refuses."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.priors import Prior
from study.design.families import NETWORKS, POSTERIORS, PRIORS
from study.design.registry import PartRefused, UnknownName

MODULE = '''
"""A prior in a package of its own."""
from models.priors import Prior

class Wide(Prior):
    """N(0, s² I)."""
    reference = "Nobody 2020"
    def __init__(self, context, *, scale: float = 2.0) -> None:
        super().__init__(context)
        self.scale = scale
    def forward(self):
        raise NotImplementedError

not_a_part = 3
'''


@pytest.fixture
def install(tmp_path, monkeypatch) -> Callable[..., None]:
    """Puts a package with entry points on the path, as an installer would: a module and its metadata."""

    def install(package: str, entries: str, module: str = MODULE) -> None:
        site = tmp_path / package
        metadata = site / f"{package}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{package}.py").write_text(module, "utf-8")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
        (metadata / "entry_points.txt").write_text(entries, "utf-8")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, package, raising=False)

    return install


def test_an_installed_package_adds_a_part(install):
    before = list(PRIORS)
    install("wide_priors", "[latent_study.priors]\nwide = wide_priors:Wide\n")
    assert list(PRIORS) == sorted([*before, "wide"])
    assert "wide" in PRIORS
    assert len(PRIORS) == len(before) + 1
    assert issubclass(PRIORS["wide"], Prior)
    assert PRIORS.options("wide")["scale"].default == 2.0
    assert PRIORS.signature("wide").reference == "Nobody 2020"
    assert "wide" not in POSTERIORS


def test_what_is_not_installed_is_unknown(install):
    with pytest.raises(UnknownName, match="unknown prior 'wide'"):
        PRIORS["wide"]
    install("wide_priors", "[latent_study.priors]\nwide = wide_priors:Wide\n")
    with pytest.raises(UnknownName, match="did you mean 'wide'"):
        PRIORS["wid"]


def test_a_built_in_name_is_not_for_taking(install):
    install("bold", "[latent_study.priors]\nvamp = bold:Wide\n")
    with pytest.raises(PartRefused, match=r"the package bold offers a prior named 'vamp', which is built in; rename"):
        PRIORS["vamp"]
    assert "mlp" in NETWORKS, "other families are untouched"


def test_two_packages_with_one_name_are_refused(install):
    install("first", "[latent_study.priors]\nwide = first:Wide\n")
    install("second", "[latent_study.priors]\nwide = second:Wide\n")
    with pytest.raises(PartRefused, match=r"named 'wide', which is offered by the package (first|second) too"):
        list(PRIORS)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("odd:not_a_part", "odd:not_a_part as a prior, which is no subclass of models.priors.Prior"),
        ("odd:Absent", "cannot be imported"),
        ("absent_module:Wide", "cannot be imported"),
    ],
)
def test_what_is_no_part_is_refused(install, entry, says):
    install("odd", f"[latent_study.priors]\nodd = {entry}\n")
    with pytest.raises(PartRefused, match=says):
        PRIORS["odd"]


def test_files_with_an_underscore_are_no_parts():
    files = {path.stem for path in Path(sys.modules["models.priors"].__file__).parent.glob("*.py")}
    assert set(PRIORS) == {stem for stem in files if not stem.startswith("_")}
