"""The figure of alignment along training: drawn where gains were measured at several lengths, with their numbers."""

import numpy as np
import pytest
import xarray as xr

from study.answers.report import chapters
from study.answers.report.overview import along_training
from study.design.cell import Cell
from study.store.result import CellResult
from study.store.store import Store

QUANTITIES = ("rate", "kl_correlations", "off_axes", "off_axes_rotated")


def publish(store: Store, updates: int, numbers: dict[str, list[float]]) -> None:
    """A cell of two seeds of this length, with these estimates of the training aggregate."""
    names = [name for name in QUANTITIES if name in numbers]
    values = np.array([numbers[name] for name in names]).T[:, None, :]
    fields = {"value": values, "standard_error": 0.0 * values, "n": 100, "bound": "unbiased", "flags": ""}
    coords = {"chain": [0, 1], "split": ["train"], "quantity": names}
    table = xr.Dataset({name: (tuple(coords), np.broadcast_to(v, values.shape)) for name, v in fields.items()}, coords)
    cell = Cell.from_config({"latent_dim": 8, "seeds": 2, "train": {"updates": updates}})
    result = CellResult(xr.DataTree.from_dict({"aggregate": table}), weights={}, details={})
    store.begin(cell, images="")
    store.publish(cell, result, images="", device="cpu", seconds=0.0, command="")


def test_points_are_shares_of_a_rotation_and_nats_in_the_order_of_training(tmp_path):
    store = Store(tmp_path / "made-up")
    for updates, off, nats in ((900, 0.2, 1.0), (100, 0.6, 5.0), (300, 0.4, 3.0)):
        numbers = {"rate": [9.0, 9.0], "kl_correlations": [nats, nats + 1], "off_axes": [off, off + 0.1]}
        publish(store, updates, numbers | {"off_axes_rotated": [0.8, 0.8]})
    (chapter,) = chapters([store.root])
    (drawn,) = along_training(chapter)
    (axes,) = drawn.figure.axes
    (line,) = (container[0] for container in axes.containers)
    assert line.get_xdata() == pytest.approx([0.65 / 0.8, 0.45 / 0.8, 0.25 / 0.8])
    assert line.get_ydata() == pytest.approx([5.5, 3.5, 1.5])
    assert [text.get_text() for text in axes.texts] == ["100", "900"]
    assert "updates" in drawn.caption


@pytest.mark.parametrize("missing", ["length", "gain"])
def test_nothing_is_drawn_of_one_length_or_without_gains(tmp_path, missing):
    store = Store(tmp_path / "made-up")
    numbers = {
        "rate": [9.0, 9.0],
        "kl_correlations": [1.0, 2.0],
        "off_axes": [0.2, 0.3],
        "off_axes_rotated": [0.8, 0.8],
    }
    if missing == "gain":
        numbers = {name: numbers[name] for name in ("rate", "kl_correlations")}
    for updates in (100, 300) if missing == "gain" else (100,):
        publish(store, updates, numbers)
    (chapter,) = chapters([store.root])
    assert not list(along_training(chapter))
