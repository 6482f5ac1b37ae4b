"""The notebooks run from first to last cell, as they are stored: without outputs."""

from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "study" / "notebooks"
FIGURES = {"first_steps": 3, "diagnosis": 1}


def test_every_notebook_is_run():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == FIGURES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the kernel's own
def test_it_runs(tmp_path, name):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [set(output.get("data", {})) for cell in code for output in cell.outputs]
    assert sum("image/png" in kinds for kinds in shown) == FIGURES[name]
    assert any("text/html" in kinds for kinds in shown)
