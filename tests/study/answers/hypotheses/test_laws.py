"""Laws that every hypothesis obeys."""

import inspect
import re

import pytest

from study.answers.hypotheses import HYPOTHESES, Hypothesis, MissingCells, Verdict
from study.answers.results import Results
from study.answers.verdicts import hypotheses

from .conftest import cells_of, commands

ALL = {hypothesis.id: hypothesis for hypothesis in hypotheses()}
NOTHING = Results(())


def test_the_hypotheses_are_those_of_the_theory_in_order():
    assert list(ALL) == [f"H{number}" for number in range(1, 20)]
    assert len(HYPOTHESES) == 19


@pytest.mark.parametrize("name", HYPOTHESES)
def test_a_file_has_the_number_of_its_hypothesis(name):
    assert re.fullmatch(rf"{HYPOTHESES[name].id.lower()}(_[a-z]+)+", name)


@pytest.mark.parametrize("name", ALL)
def test_the_claim_is_one_sentence_and_the_rule_stands_in_the_file(name):
    hypothesis = ALL[name]
    assert hypothesis.claim.endswith(".")
    assert hypothesis.claim.count(". ") == 0
    document = inspect.getdoc(inspect.getmodule(type(hypothesis)))
    assert document.startswith(f"{name}: ")
    assert "Rule, before any run:" in document
    for word in ("upported if", "efuted", "ndecided" if name in {"H5", "H7", "H9"} else "efuted"):
        assert word in document


@pytest.mark.parametrize("name", ALL)
def test_the_caption_is_the_hypothesis_own(name):
    caption = inspect.getdoc(type(ALL[name]).draw)
    assert caption != inspect.getdoc(Hypothesis.draw)
    assert len(caption) > 150


@pytest.mark.parametrize("name", ALL)
def test_the_command_that_makes_its_cells_makes_cells(name):
    hypothesis = ALL[name]
    found = commands(hypothesis.needs)
    if name == "H4":
        assert not found
        return
    (command,) = found
    cells = cells_of(command)
    assert len(cells) >= 2
    assert {cell.seeds for cell in cells} == {5}


@pytest.mark.parametrize("name", ALL)
def test_without_cells_it_is_undecided_and_says_which_are_missing(name):
    verdict = ALL[name].verdict(NOTHING)
    assert isinstance(verdict, Verdict)
    if name == "H4":
        assert verdict.outcome == "supported"
        return
    assert verdict.outcome == "undecided"
    assert verdict.why.startswith("no ")
    assert verdict.seeds == 0
    with pytest.raises(MissingCells):
        ALL[name].draw(NOTHING)
