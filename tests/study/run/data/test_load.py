"""Loading by name: which data sets there are, where files are looked for, and requests that nothing satisfies."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from study.design.families import DATASETS
from study.errors import ConfigurationError
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
