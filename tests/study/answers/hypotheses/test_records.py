"""Records: single draws of a cell's result as lines of a table, under the family, cell and replicate they belong to."""

import numpy as np
import pytest
import xarray as xr

from study.answers.hypotheses._base import MissingCells
from study.answers.hypotheses._families import alike
from study.answers.hypotheses._records import having_records, record_lines

from .conftest import remembered, study_of

KL = "aggregate/train/kl"


def draws(cell, replicate):
    """Norms that tell cell, replicate, source and draw; the widest cell has none."""
    norms = 100 * cell.latent_dim + 10 * replicate + np.array([[0.0, 1.0, 2.0], [5.0, 6.0, 7.0]])
    record = xr.Dataset({"norm": (("source", "draw"), norms)}, {"source": ["prior", "aggregate"], "draw": [0, 1, 2]})
    return {KL: 1.0}, {"draws": record} if cell.latent_dim < 8 else {}


@pytest.fixture
def results():
    return remembered(study_of("latent-study run smoke seeds=2 prior=standard_normal latent_dim=2,4,8"), draws)


def test_every_cell_and_replicate_has_its_own_entries(results):
    lines = record_lines(results, alike(results, kl=KL), "draws", {"length": "norm"}, source="aggregate")
    assert len(lines) == 2 * 2 * 3
    expected = 100 * lines["latent_dim"] + 10 * lines["replicate"]
    assert (lines["length"] - expected).tolist() == [5.0, 6.0, 7.0] * 4
    assert set(lines["family"]) == {"D=2", "D=4"}
    assert lines.groupby("family")["key"].nunique().tolist() == [1, 1]


def test_labels_are_those_of_every_replicate_and_types_stay(results):
    lines = record_lines(results, alike(results, kl=KL), "draws", {"place": "draw", "norm": "norm"}, source="prior")
    assert lines["place"].tolist() == [0, 1, 2] * 4
    assert lines["place"].dtype == np.int64
    assert lines["norm"].dtype == np.float64


def test_cells_without_the_records_have_no_lines_and_where_none_has_them_it_is_said(results):
    assert {cell.settings["latent_dim"] for cell in having_records(results, "draws")} == {2, 4}
    wide = results.where(latent_dim=8)
    assert record_lines(wide, alike(wide, kl=KL), "draws", {"norm": "norm"}, source="prior").empty
    with pytest.raises(MissingCells, match="no cells have the records `draws`"):
        having_records(wide, "draws")
