"""Laws that every hypothesis obeys."""

import inspect
import re
import shlex
import subprocess
import sys

import pytest

from study.answers.hypotheses import HYPOTHESES, MissingCells, Verdict, hypotheses, needed_study
from study.answers.results import Results
from study.cli import main
from study.errors import ConfigurationError

from .conftest import remembered

ALL = {name: kind() for name, kind in HYPOTHESES.items()}
NEEDING = [name for name, hypothesis in ALL.items() if hypothesis.needs]
NOTHING = Results(())


def test_hypotheses_are_in_the_order_of_their_numbers():
    numbers = [int(hypothesis.id.removeprefix("H")) for hypothesis in hypotheses()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == len(HYPOTHESES)


@pytest.mark.parametrize("name", ALL)
def test_a_file_has_the_number_of_its_hypothesis(name):
    assert re.fullmatch(rf"{ALL[name].id.lower()}(_[a-z]+)+", name)


@pytest.mark.parametrize("name", ALL)
def test_the_claim_is_one_sentence_and_the_rule_stands_in_the_file(name):
    hypothesis = ALL[name]
    assert hypothesis.claim.endswith(".")
    assert hypothesis.claim.count(". ") == 0
    document = inspect.getdoc(inspect.getmodule(type(hypothesis)))
    assert document.startswith(f"{hypothesis.id}: ")
    assert "Rule, before any run:" in document
    for word in ("upported if", "efuted", "ndecided" if hypothesis.id in {"H5", "H7", "H9"} else "efuted"):
        assert word in document


@pytest.mark.parametrize("name", ALL)
def test_the_caption_is_the_hypothesis_own(name):
    assert len(ALL[name].caption) > 150
    assert ALL[name].caption.endswith(".")
    assert "  " not in ALL[name].caption
    assert [other for other in ALL if ALL[other].caption == ALL[name].caption] == [name]


@pytest.mark.parametrize("name", NEEDING)
def test_the_needed_study_has_cells_with_seeds_enough(name):
    study = needed_study(ALL[name].id)
    assert study.description
    assert not study.description.endswith(".")
    cells = study.cells()
    assert len(cells) >= 2
    assert {cell.seeds for cell in cells} == {5}
    assert {cell.dataset.name for cell in cells} == {"digits"}


@pytest.mark.parametrize("name", NEEDING)
def test_the_command_that_is_printed_lists_the_needed_cells(name, capsys, tmp_path):
    command = ALL[name].command()
    assert f"`{command}`" in ALL[name].examine(NOTHING).verdict.why
    assert command.startswith("latent-study ")
    assert main([*shlex.split(command)[1:], "--dry-run", "--results", str(tmp_path)]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()[:-1]}
    assert listed == {cell.key for cell in needed_study(ALL[name].id).cells()}


def test_a_needed_study_is_overridden_as_any_other(capsys, tmp_path):
    assert main(["run", "--for", "h7", "latent_dim=3", "beta=2,4", "--dry-run", "--results", str(tmp_path)]) == 0
    assert "4 cells" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--for", "H77"], "unknown hypothesis 'H77'; did you mean 'H7'?"),
        (["smoke", "--for", "H7"], "expected a study or --for; got smoke and --for H7: leave one out"),
        (["--for", "H4"], "H4 rests on no cells"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(words, sentence, capsys):
    assert main(["run", *words, "--dry-run"]) == ConfigurationError.exit_code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ALL)
def test_without_cells_it_is_undecided_and_says_which_are_missing(name):
    case = ALL[name].examine(NOTHING)
    assert isinstance(case.verdict, Verdict)
    if name not in NEEDING:
        assert case.verdict.decision == "supported"
        return
    assert case.verdict.decision == "undecided"
    assert case.verdict.why.startswith("no ")
    assert case.verdict.seeds == 0
    assert case.figure() is None
    with pytest.raises(MissingCells):
        ALL[name].evidence(NOTHING)


@pytest.mark.parametrize("name", NEEDING)
def test_what_was_not_measured_is_named_without_addresses(name):
    """On the cells that it needs, from which every estimate but one is absent and every record."""
    bare = remembered(needed_study(ALL[name].id), lambda *_: ({"aggregate/train/log_n": 1.0}, {}))
    why = ALL[name].examine(bare).verdict.why
    assert why.startswith("no ")
    assert not re.search(r"(aggregate|realism|densities)/", why)


def test_reading_hypotheses_loads_neither_training_nor_inference():
    """In a process of its own: modules that other tests have imported are there already."""
    heavy = {"pyro", "sklearn", "numba", "torch._dynamo", "torch._inductor", "study.run", "study.measurement"}
    program = "import sys; from study.answers.hypotheses import hypotheses; hypotheses(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert not heavy & set(ran.stdout.split())
