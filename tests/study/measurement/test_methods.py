"""The methods page is what the declarations say, and they name every estimate of a cell and no other."""

import re
from fnmatch import fnmatchcase

import pytest

from analysis.layout import ROWS
from study.design.study import Study
from study.measurement.estimators import registered
from study.measurement.methods import END, PAGE, page
from study.run.experiment import run_cell

ASKED = [
    "evaluate.calibration=20",
    "evaluate.refinement=4",
    "evaluate.annealing=2",
    "evaluate.annealing_temperatures=3",
    "evaluate.features=[untrained]",
]
COMMAND = "python -m study.measurement.methods"


def test_page_is_that_of_the_declarations():
    text = PAGE.read_text("utf-8")
    assert page(text) == text, f"analysis/METHODS.md is not what the estimators declare: run {COMMAND}"
    with pytest.raises(ValueError, match="two marks"):
        page(text.replace(END, ""))


def test_rows_are_unique_and_have_four_columns():
    text = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert len(rows) == len(set(rows))
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines)


@pytest.mark.slow
def test_every_estimate_of_a_cell_is_declared_with_its_bound_and_every_declaration_is_met(tmp_path):
    cell = Study.load("smoke").override(["prior=standard_normal", "latent_dim=2", "seeds=1", *ASKED]).cells()[0]
    tree = run_cell(cell, tmp_path, device="cpu", data_root=None, report=lambda progress: None).tree
    for table in ROWS:
        group = tree[table].to_dataset().isel(chain=0)
        names = [str(name) for name in group["quantity"].values]
        declared = [found for _, found in registered() if found.table == table]
        for quantity in (quantity for found in declared for quantity in found.quantities):
            assert any(fnmatchcase(name, quantity.pattern) for name in names), quantity.name
        for row in group[ROWS[table]].values:
            for name in names:
                at = group.sel({ROWS[table]: row, "quantity": name})
                own = [found.quantity(name) for found in declared if _gives(found, name)]
                assert own, name
                if "refused" not in str(at["flags"].item()):
                    assert str(at["bound"].item()) == own[0].bound, name


def _gives(found, name) -> bool:
    return any(fnmatchcase(name, quantity.pattern) for quantity in found.quantities)
