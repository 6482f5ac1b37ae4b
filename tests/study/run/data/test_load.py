"""Loading by name: which data sets there are, where files are looked for, and requests that nothing satisfies."""

from __future__ import annotations

import pwd
from pathlib import Path

import platformdirs
import pytest

import study.run.data.resizing
from study.design.families import DATASETS
from study.errors import ConfigurationError, DataError, EnvironmentFault
from study.run.data.loading import data_root, load


def test_the_data_sets_are_described():
    assert {"digits", "fashion_mnist", "folder", "kmnist", "mnist"} <= set(DATASETS)
    for name in DATASETS:
        assert DATASETS[name].__doc__
        assert DATASETS.signature(name).reference


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"name": "mnits"}, r"unknown dataset 'mnits'; did you mean 'mnist'\?"),
        ({"name": "_idx"}, "unknown dataset '_idx'"),
        ({"name": "digits", "colour": True}, "unknown option of dataset digits 'colour'; known: none"),
        ({"name": "folder", "color": True}, r"unknown option of dataset folder 'color'; did you mean 'colour'\?"),
        ({"name": "digits", "limit": 1438}, "between 1 and the 1,437 training images of digits; got 1,438"),
        ({"name": "digits", "limit": 0}, "got 0"),
        ({"name": "digits", "image_size": 0}, "image_size must be a positive number of pixels; got 0"),
    ],
)
def test_a_request_that_no_files_satisfy(request_, message):
    with pytest.raises(ConfigurationError, match=message):
        load(**request_)


def test_the_root_is_the_argument_then_the_variable_then_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LATENT_STUDY_DATA", str(tmp_path))
    assert data_root(Path("/elsewhere")) == Path("/elsewhere")
    assert data_root() == tmp_path
    monkeypatch.setenv("LATENT_STUDY_DATA", "~/images")
    assert data_root() == Path.home() / "images"
    for unset in (lambda: monkeypatch.setenv("LATENT_STUDY_DATA", ""), lambda: monkeypatch.delenv("LATENT_STUDY_DATA")):
        unset()
        assert data_root() == Path(platformdirs.user_data_dir("latent-study", appauthor=False))


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry in the list of users and without HOME, as in some containers."""
    for variable in ("HOME", "XDG_DATA_HOME", "LATENT_STUDY_DATA"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_bundled_images_are_read_and_others_ask_for_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(load("digits").images) == 1_437
    for name in ("mnist", "folder"):
        with pytest.raises(EnvironmentFault, match=r"LATENT_STUDY_DATA or --data-root"):
            load(name)
        with pytest.raises(DataError, match=str(tmp_path)):
            load(name, root=tmp_path)
    monkeypatch.setenv("LATENT_STUDY_DATA", "~/images")
    with pytest.raises(EnvironmentFault, match=r"~/images.*LATENT_STUDY_DATA"):
        load("mnist")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["digits", "folder"])
def test_images_larger_than_any_are_a_matter_of_configuration(name, tmp_path):
    with pytest.raises(ConfigurationError, match="image_size must be at most 8,192 pixels; got 10000000"):
        load(name, root=tmp_path, image_size=10_000_000)


def test_resizing_beyond_memory_is_refused_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(study.run.data.resizing, "available_memory", lambda: 1e9)
    with pytest.raises(
        DataError, match=r"1,797 images of 1×4096×4096 need 120.6 GB of memory, where 1.0 GB can be had"
    ):
        load("digits", image_size=4_096)
