"""The notebook runs from first to last cell, as it is stored: without outputs."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "study" / "notebooks" / "first_steps.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the kernel's own
def test_it_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [set(output.get("data", {})) for cell in code for output in cell.outputs]
    assert sum("image/png" in kinds for kinds in shown) == 3
    assert any("text/html" in kinds for kinds in shown)
