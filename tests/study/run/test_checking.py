"""What is checked of a cell before its images are read, and what only then."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from study.cli import main
from study.design.cell import Cell
from study.errors import ConfigurationError
from study.run.checking import check


def cell(**settings) -> Cell:
    return Cell.model_validate({"latent_dim": (4, 7, 7), "network": "spatial"} | settings)


def test_of_a_folder_the_shape_is_not_guessed():
    for latent in ((4, 7, 7), (4, 7, 8), (4, 5, 5), (4, 3, 3)):
        check(cell(latent_dim=latent, dataset="folder"))
    check(cell(dataset="folder", network={"name": "conv"}, latent_dim=(3,)))


def test_where_the_shape_is_known_it_is_checked():
    check(cell(dataset="mnist"))
    check(cell(dataset="folder", image_size=28))
    check(cell(dataset="folder"), (1, 28, 28))
    check(cell(dataset="folder", latent_dim=(4, 7, 8)), (1, 28, 32))
    for refused in (
        lambda: check(cell(dataset="mnist", latent_dim=(4, 5, 5))),
        lambda: check(cell(dataset="folder", image_size=28, latent_dim=(4, 5, 5))),
        lambda: check(cell(dataset="folder", latent_dim=(4, 5, 5)), (1, 28, 28)),
    ):
        with pytest.raises(ConfigurationError, match="network spatial with 2 levels needs"):
            refused()


def test_what_does_not_depend_on_the_shape_is_checked_of_a_folder_too():
    with pytest.raises(ConfigurationError):
        check(cell(dataset="folder", prior="hypersphere"))
    with pytest.raises(ConfigurationError):
        check(cell(dataset="folder", posterior="full_normal", objective="total_correlation", latent_dim=(4,)))
    with pytest.raises(ConfigurationError, match="components"):
        check(cell(dataset="folder", prior={"name": "vamp", "components": -1}))


@pytest.mark.parametrize(("height", "width", "latent"), [(28, 28, "4x7x7"), (28, 32, "4x7x8"), (20, 20, "4x5x5")])
def test_a_dry_run_of_images_of_any_size(height, width, latent, tmp_path, capsys):
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (height, width), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    words = ["run", "smoke", "dataset=folder", "limit=none", "network=spatial", f"latent_dim={latent}", "--dry-run"]
    assert main([*words, "--data-root", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("no folder")])
def test_a_dry_run_says_that_there_is_no_folder(make, tmp_path, capsys):
    make(tmp_path / "absent")
    words = ["run", "smoke", "dataset=folder", "limit=none", "--dry-run", "--data-root", str(tmp_path / "absent")]
    assert main(words) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: folder: {tmp_path / 'absent'} is not a directory; give the directory of images")
    assert main(["run", "smoke", "--dry-run", "--data-root", str(tmp_path / "absent")]) == 0
