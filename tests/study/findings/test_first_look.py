"""FINDINGS and README say what the committed export of the first look says."""

import io

import pandas as pd
import pytest

from study.answers.results import Results
from study.cli import main
from study.findings.first_look import EXPORT, HERE, ROOT, between, findings_table, readme_table


@pytest.mark.parametrize(("page", "mark"), [("FINDINGS.md", "first_look"), ("README.md", "table")])
def test_tables_are_those_of_the_export(page, mark):
    table = findings_table(Results.load([EXPORT])) if mark == "first_look" else readme_table()
    text = (ROOT / page).read_text("utf-8")
    assert between(text, mark, table) == text


def test_verdicts_are_those_of_the_export(capsys):
    assert main(["verdict", str(EXPORT), "--format", "csv"]) == 0
    written = pd.read_csv(HERE / "first_look-verdicts.csv").set_index("hypothesis")["decision"]
    assert pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("hypothesis")["decision"].equals(written)


def test_a_changed_number_is_noticed():
    text = (ROOT / "FINDINGS.md").read_text("utf-8")
    assert between(text, "first_look", "| 1 |") != text
