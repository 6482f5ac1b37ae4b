"""FINDINGS and README say what the committed export of the first look and the tables of its runs say."""

import io
import re

import pandas as pd
import pytest

from study.answers.results import Results
from study.cli import main
from study.findings import asker, confirmation, parts
from study.findings.first_look import EXPORT, HERE, STRIP, maps
from study.findings.pages import ROOT, between, tables
from study.findings.runs import (
    CHECKS_ASIDE,
    LEVELS,
    POOLED,
    TRAININGS,
    VERDICTS,
    levels_of,
    pooled_verdicts,
    run_levels,
    run_vectors,
    run_verdicts,
    standing,
    verdicts_of,
)

NUMBER = r"−?\d+(?:,\d{3})*(?:\.\d+)?"
PLACES = r"\b(?:Tables?|Figures?|[Ss]ections?|[Rr]un) [\d.]*\d(?: and \d)?"
SIZES = (
    r"\d+ × \d+ × \d+|65,536|4,096|60,000|12,000|10,000|6,000|18,000|9,000|14,040|180,000|900,000|1,125 updates|2,000"
    r"|100 to 107|batches of \d+|[\d,]+ epochs|warm-up of \d+"
)
SOURCES = r"\d{4}, arXiv:[\d.]+"
THRESHOLDS = r"asks for 0\.8|within 0\.1 of one half"
NAMES = rf"`[^`]*`|\bH\d+|{PLACES}|{SIZES}|{SOURCES}|{THRESHOLDS}|N\(0, I\)|KL\([^)]*\)"
"""Words with digits that are no results: names of claims, tables, runs and shapes."""


def section(start, end):
    """The text of FINDINGS between two headings."""
    return (ROOT / "FINDINGS.md").read_text("utf-8").split(f"\n{start}\n")[1].split(f"\n{end}\n")[0]


def sentences(text):
    """What is neither table nor figure nor heading."""
    return " ".join(line for line in text.splitlines() if line and line[0] not in "|!#<")


def tabulated(text):
    """The lines of tables."""
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


@pytest.fixture(scope="module")
def pages():
    return tables()


RUNS = [EXPORT, HERE / "first_look-2", HERE / "first_look-3"]
"""Exports of the three runs."""


@pytest.mark.parametrize("page", ["FINDINGS.md", "README.md"])
def test_tables_are_those_of_the_export(page, pages):
    text = (ROOT / page).read_text("utf-8")
    for mark, table in pages[page].items():
        assert between(text, mark, table) == text, mark


def test_verdicts_are_those_of_the_export(capsys):
    assert main(["verdict", str(EXPORT), "--format", "csv"]) == 0
    written = pd.read_csv(HERE / "first_look-verdicts.csv").set_index("hypothesis")["decision"]
    computed = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("hypothesis")["decision"]
    assert computed.equals(written)
    of_first = pd.read_csv(VERDICTS).query("run == 1").set_index("hypothesis")["decision"]
    assert computed.equals(of_first)


@pytest.mark.parametrize(("make", "path"), [(run_levels, LEVELS), (run_vectors, TRAININGS)])
def test_tables_of_the_runs_are_those_of_their_exports(make, path):
    written = pd.read_csv(path)
    assert sorted(written["run"].unique()) == [1, 2, 3]
    computed = pd.read_csv(io.StringIO(make(RUNS).to_csv(index=False)))
    pd.testing.assert_frame_equal(computed, written, check_exact=False, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("runs", "judged", "latent_dim", "module"),
    [
        (asker.by_length, asker.judged, asker.LATENT_DIM, asker),
        (confirmation.confirming, confirmation.confirming, 4096, confirmation),
    ],
    ids=["the question's model", "the confirming runs"],
)
def test_tables_of_preregistered_runs_are_those_of_their_exports(runs, judged, latent_dim, module):
    computed = pd.read_csv(io.StringIO(levels_of(runs(), latent_dim).to_csv(index=False)))
    pd.testing.assert_frame_equal(computed, pd.read_csv(module.LEVELS), check_exact=False, rtol=1e-6, atol=1e-9)
    decided = verdicts_of(judged())[["run", "hypothesis", "decision"]]
    pd.testing.assert_frame_equal(decided, pd.read_csv(module.VERDICTS)[["run", "hypothesis", "decision"]])


@pytest.mark.slow
@pytest.mark.parametrize(("make", "path"), [(run_verdicts, VERDICTS), (pooled_verdicts, POOLED)])
def test_verdicts_of_the_runs_are_those_of_their_exports(make, path):
    columns = ["run", "hypothesis", "decision"]
    computed = pd.read_csv(io.StringIO(make(RUNS).to_csv(index=False)))[columns]
    pd.testing.assert_frame_equal(computed, pd.read_csv(path)[columns])


@pytest.mark.parametrize(
    ("start", "end"), [("## 5 Results", "## 6 Limits"), ("## The answer in ten sentences", "## Contents")]
)
def test_numbers_in_sentences_stand_in_the_tables(start, end):
    text = (ROOT / "FINDINGS.md").read_text("utf-8")
    stated = re.sub(NAMES, "", sentences(section(start, end)))
    shown = tabulated(text)
    pairs = re.findall(rf"{NUMBER} ± {NUMBER}", stated)
    assert len(pairs) > 10
    assert [pair for pair in pairs if pair not in shown] == []
    numbers = set(re.findall(NUMBER, shown))
    assert [number for number in re.findall(NUMBER, stated) if number not in numbers] == []


def test_the_answer_has_ten_sentences():
    items = re.split(r"^\d+\. ", section("## The answer in ten sentences", "## Contents"), flags=re.MULTILINE)[1:]
    assert len(items) == 10
    assert all(item.strip().endswith(".") and not re.search(r"\.\s+[A-Z]", item) for item in items), "one sentence each"


def test_decisions_in_sentences_are_those_of_the_runs():
    table = pd.read_csv(VERDICTS)
    text = sentences((ROOT / "FINDINGS.md").read_text("utf-8").split("## 8 Withdrawn")[0])
    stands = standing(table)
    stated = re.findall(r"\((H\d+), ([a-z ]+) in all three runs", text)
    assert dict(stated) == {name: decision for name, decision in stands.items() if name not in CHECKS_ASIDE}
    by_run = table.groupby("hypothesis")["decision"].agg(", ".join)
    changed = re.findall(r"\((H\d+): ([a-z ,]+)\)", text)
    assert {name for name, _ in changed} == {"H1", "H7", "H10", "H13", "H14", "H18", "H20"}
    assert all(by_run[name] == decisions for name, decisions in changed)


def test_the_strip_of_the_readme_has_its_numbers_in_words():
    averaged = maps(Results.load([EXPORT]))["averaged"]
    words = " ".join((ROOT / "README.md").read_text("utf-8").split("![", 1)[1].split("]", 1)[0].split())
    for source, title in STRIP:
        mean = averaged.values(f"realism/{source}/squared_frechet")["value"].astype(float).mean()
        named = " ".join(title.split(":")[0].split())
        assert f"{named.replace('the prior, moved', 'the prior moved')} {mean:.0f}" in words


def test_outcomes_are_called_as_the_preregistration_says():
    sets = ["MNIST", "Fashion-MNIST", "coloured MNIST"]
    for decisions, called in [
        (["supported"] * 3, "confirmed, general"),
        (["supported", "undecided", "supported"], "confirmed"),
        (["supported", "refuted", "undecided"], "confirmed, specific to the data"),
        (["undecided", "supported", "not supported"], "not confirmed, specific to the data"),
        (["refuted", "undecided", "undecided"], "not confirmed; refuted on MNIST"),
    ]:
        assert confirmation.outcome(dict(zip(sets, decisions, strict=True))) == called


def test_the_seventh_hypothesis_counts_as_untested_where_other_runs_decide_it():
    verdicts = pd.read_csv(confirmation.VERDICTS)
    without = verdicts.assign(p_value=verdicts["p_value"].where(verdicts["hypothesis"] != "H7", 0.0))
    assert confirmation.outcome_table(without) == confirmation.outcome_table(verdicts)
    named = set(confirmation.PRIMARY) | {"H7"}
    assert set(verdicts[verdicts["family"] == "primary"]["hypothesis"]) == named


def test_parts_are_those_of_the_exports():
    computed = pd.read_csv(io.StringIO(parts.every_part().to_csv(index=False)))
    pd.testing.assert_frame_equal(computed, pd.read_csv(parts.PARTS), check_exact=False, rtol=1e-6, atol=1e-9)
    of_mean = computed[(computed["part"] == parts.MEAN) & (computed["measure"] == "F")]
    shares = of_mean.set_index(["run", "model"])["value"]
    ruled = pd.read_csv(confirmation.VERDICTS).query("hypothesis == 'H20'").set_index("run")["value"]
    for title in confirmation.SETS:
        assert shares[title, "summed"] == pytest.approx(ruled[title], rel=1e-9)


@pytest.mark.parametrize("measure", ["F", "coverage"])
def test_shares_are_of_the_gap_whichever_values_of_a_measure_are_good(measure):
    averaged, quantity = maps(Results.load([EXPORT]))["averaged"], parts.MEASURES[measure][0]
    prior, codes, moments = (
        averaged.values(f"realism/{source}/{quantity}")["value"].astype(float).mean()
        for source in ("prior", "aggregate_train", "moment_normal")
    )
    of_measure = parts.parts_of(averaged, "run 1", "averaged").query("measure == @measure").set_index("part")
    assert of_measure["value"][parts.GAUSSIAN] == pytest.approx((prior - moments) / (prior - codes))
    assert of_measure["lower"][parts.GAUSSIAN] < of_measure["value"][parts.GAUSSIAN] < 1
    ordered = of_measure["value"][parts.MEAN] + of_measure["value"][parts.COVARIANCE]
    assert ordered == pytest.approx(of_measure["value"][parts.GAUSSIAN]), "the two orders share out all of it"


def test_a_changed_number_is_noticed():
    text = (ROOT / "FINDINGS.md").read_text("utf-8")
    assert between(text, "levels", "| 1 |") != text
