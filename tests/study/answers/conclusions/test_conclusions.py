"""The plain answer on planted results: which cell is shown, which repair headlines, and what the sentences say."""

import re
from pathlib import Path

import numpy as np
import pytest

from analysis.interval import Interval
from study.answers.conclusions import conclude, parts
from study.answers.conclusions.levels import above, below
from study.answers.conclusions.phenomenon import LARGEST, OBSERVED, phenomenon
from study.answers.conclusions.repair import best, repairs
from study.answers.hypotheses import cases
from study.answers.listing import NARROWEST, WIDEST
from study.answers.report.strip import TILES
from study.answers.results import Results
from study.answers.terminal import EXPLAINED, LINES, answer_lines, cell_table

from ..hypotheses.conftest import remembered, study_of

GREY = "latent-study run smoke dataset=mnist_5k binarisation=none train.epochs=2 seeds=3 prior=standard_normal "
QUESTION = {
    "aggregate/held_out/reconstruction_error": 0.01,
    "aggregate/train/rms_loc": 0.1,
    "aggregate/train/mean_scale": 1.0,
    "realism/local/label_agreement_1": 0.95,
}
REAL = {"held_out": 5.0, "reconstruction": 10.0, "local": 12.0, "aggregate_held_out": 20.0}


def world(levels, observations=QUESTION):
    """A truth with these levels of each cell, a function of the cell, and one replicate like the next."""

    def truth(cell, _replicate):
        own = REAL | levels(cell)
        distances = {f"realism/{source}/squared_frechet": value for source, value in own.items()}
        fitted = {
            f"densities/{name}/certified_gap": 1.0 for name in ("moment_normal", "aggregate_kernel") if name in own
        }
        return distances | fitted | observations, {}

    return truth


def results_of(command, levels, observations=QUESTION):
    return remembered(study_of(GREY + command), world(levels, observations))


def text_of(conclusion):
    return " ".join([str(conclusion.seen), *map(str, conclusion.parts)])


def test_without_distances_the_answer_says_why(monkeypatch):
    conclusion = conclude(results_of("latent_dim=4 evaluate.samples=0", lambda _: {}), [])
    assert "How real the samples are was not measured [evaluate.samples is 0]" in answer_lines(conclusion, 100)[0]
    flags = {"flags": np.array(["", "refused: covariances of 64 features need 130 rows"])}
    monkeypatch.setattr(parts, "estimate_of", lambda cell, address: flags)
    text = text_of(conclude(results_of("latent_dim=4", lambda _: {}), []))
    assert "was not measured [covariances of 64 features need 130 rows]" in text
    monkeypatch.setattr(parts, "estimate_of", lambda cell, address: None)
    assert "was not measured." in text_of(conclude(results_of("latent_dim=4", lambda _: {}), []))


def test_the_cell_shown_has_all_four_observations_before_any_larger_gap():
    def levels(cell):
        return {"prior": 900.0 if cell.latent_dim == 8 else 300.0, "aggregate_train": 20.0}

    def truth(cell, replicate):
        distances, rest = world(levels)(cell, replicate)
        blurred = {"aggregate/held_out/reconstruction_error": 0.05} if cell.latent_dim == 8 else {}
        return distances | blurred, rest

    shown = phenomenon(remembered(study_of(GREY + "latent_dim=4,8"), truth))
    assert (shown.cell.settings["latent_dim"], shown.reason) == (4, OBSERVED)


def test_one_replicate_that_misses_a_threshold_is_enough_to_miss_it():
    def truth(cell, replicate):
        distances, rest = world(lambda _: {"prior": 300.0, "aggregate_train": 20.0})(cell, replicate)
        return distances | {"aggregate/held_out/reconstruction_error": 0.03 if replicate == 1 else 0.01}, rest

    shown = phenomenon(remembered(study_of(GREY + "latent_dim=4"), truth))
    assert shown.reason == LARGEST
    assert "error" not in shown.observed


@pytest.mark.parametrize(
    ("prior", "aggregate", "seen"),
    [
        (300.0, 74.0, True),
        (300.0, 76.0, False),
        (300.0, -0.5, True),  # a distance near 0 may be found below it
        (-0.5, -0.2, False),  # the prior decodes to real images
    ],
)
def test_samples_of_the_prior_are_bad_at_four_times_the_distance_of_the_aggregate(prior, aggregate, seen):
    levels = {"prior": prior, "aggregate_train": 20.0, "aggregate_held_out": aggregate}
    shown = phenomenon(results_of("latent_dim=4", lambda _: levels))
    assert ("ratio" in shown.observed) == seen
    assert (shown.reason == OBSERVED) == seen


def test_without_them_the_largest_gap_of_levels_is_shown():
    results = results_of("latent_dim=4,8", lambda cell: {"prior": 100.0 + cell.latent_dim, "aggregate_train": 20.0}, {})
    shown = phenomenon(results)
    assert (shown.cell.settings["latent_dim"], shown.reason) == (8, LARGEST)


def test_images_binarised_by_chance_have_no_observation():
    results = remembered(
        study_of(GREY.replace("binarisation=none", "binarisation=dynamic") + "latent_dim=4"),
        world(lambda _: {"prior": 300.0, "aggregate_train": 20.0}),
    )
    assert phenomenon(results).observed == frozenset()


def test_a_repair_that_repeats_training_images_is_named_and_never_first():
    results = results_of(
        "latent_dim=4",
        lambda _: {"prior": 300.0, "aggregate_train": 20.0, "moment_normal": 60.0, "aggregate_kernel": 21.0},
    )
    conclusion = conclude(results, [])
    assert [each.treatment.source for each in repairs(results, conclusion.phenomenon.cell)] == [
        "aggregate_kernel",
        "moment_normal",
    ]
    assert conclusion.repair.treatment.source == "moment_normal"
    helps = conclusion.parts[2]
    assert "closer to real images" in helps.statements[0].text
    assert "repeat training images: the codes of training images" in str(helps)


def test_exemplars_repeat_and_a_prior_with_a_small_gap_and_bad_samples_is_no_repair():
    levels = {
        "standard_normal": {"prior": 300.0, "aggregate_train": 20.0},
        "exemplar": {"prior": 25.0, "aggregate_train": 20.0},
        "vamp": {"prior": 500.0, "aggregate_train": 556.0},
    }
    command = GREY.replace("prior=standard_normal", "prior=standard_normal,exemplar,vamp") + "latent_dim=4"
    results = remembered(study_of(command), world(lambda cell: levels[cell.prior.name]))
    conclusion = conclude(results, [])
    assert conclusion.phenomenon.cell.settings["prior"] == "standard_normal"
    assert best(repairs(results, conclusion.phenomenon.cell)).treatment.treated.settings["prior"] == "vamp"
    helps = str(conclusion.parts[2])
    assert helps.startswith("None helps")
    assert "no repair is better" in conclusion.seen.text
    assert "trained with it decode worse" in helps


@pytest.mark.parametrize(
    ("prior", "aggregate", "happens", "why"),
    [
        (300.0, 20.0, "are further from real images", "Nothing was measured"),
        (20.0, 300.0, "are closer to real images", "There is no such difference"),
    ],
)
def test_sentences_follow_the_interval(prior, aggregate, happens, why):
    conclusion = conclude(results_of("latent_dim=4", lambda _: {"prior": prior, "aggregate_train": aggregate}), [])
    assert happens in conclusion.parts[0].statements[0].text
    assert conclusion.parts[1].statements[0].text.startswith(why)


def test_an_interval_that_holds_zero_is_not_decided_and_nothing_is_explained():
    def truth(cell, replicate):
        return world(lambda _: {"prior": 40.0 + 30 * (replicate - 1), "aggregate_train": 35.0})(cell, replicate)

    conclusion = conclude(remembered(study_of(GREY + "latent_dim=4"), truth), [])
    happens, why, _, sure = conclusion.parts
    assert "not decided here" in conclusion.seen.text
    assert "not decided here" in happens.statements[0].text
    assert [statement.text for statement in why.statements] == ["A difference is not decided here"]
    assert "not decided by these cells" in str(sure)


def test_one_training_decides_nothing():
    results = remembered(
        study_of(GREY.replace("seeds=3", "seeds=1") + "latent_dim=4"),
        world(lambda _: {"prior": 300.0, "aggregate_train": 20.0}),
    )
    assert "One training has no spread" in text_of(conclude(results, []))


@pytest.mark.parametrize(
    ("level", "effect"),
    [
        (50.0, "closes most of the difference"),
        (220.0, "closes less than half of the difference"),
        (400.0, "makes the difference larger"),
        (300.0, "changes next to nothing of the difference"),
        (298.0, "changes next to nothing of the difference"),
    ],
)
def test_putting_one_thing_right_says_what_it_changed(level, effect):
    def levels(_):
        return {"prior": 300.0, "aggregate_train": 20.0, "shuffled_dimensions": level}

    why = conclude(results_of("latent_dim=4", levels), []).parts[1]
    assert why.statements[0].text.endswith(effect)


def test_whether_more_than_half_is_closed_is_said_to_be_open_where_it_is():
    """So that a share of 0.7 whose interval is wide is not called less than one of 0.6 whose interval is narrow."""

    def truth(cell, replicate):
        estimates, records = world(lambda _: {"prior": 300.0, "aggregate_train": 20.0})(cell, replicate)
        level = 120.0 + 30.0 * (replicate - 1)
        return estimates | {"realism/shuffled_dimensions/squared_frechet": level}, records

    (put_right, *_) = conclude(remembered(study_of(GREY + "latent_dim=4"), truth), []).parts[1].statements
    assert put_right.text.endswith("closes a part of the difference, and whether it is most of it is not decided here")


def test_claims_that_have_no_cells_are_counted_apart_and_checks_are_no_claims():
    results = results_of("latent_dim=4", lambda _: {"prior": 300.0, "aggregate_train": 20.0})
    every = cases(results)
    (counted,) = [each for each in conclude(results, every).parts[-1].statements if "claims" in each.text]
    judged = [case for case in every if case.verdict.rule is not None and case.hypothesis.family != "check"]
    absent = sum(case.hypothesis.family != "check" for case in every) - len(judged)
    assert sum(map(int, re.findall(r"(\d+) (?:supported|refuted|not supported|undecided)", counted.numbers))) == len(
        judged
    )
    assert counted.numbers.endswith(f"; {absent} more would need other cells")


def test_what_closes_the_difference_stands_before_what_does_not():
    levels = {"prior": 300.0, "aggregate_train": 20.0, "mean_normal": 300.0, "centred_normal": 120.0}
    texts = [each.text for each in conclude(results_of("latent_dim=4", lambda _: levels), []).parts[1].statements]
    assert texts[0].endswith("closes most of the difference")
    assert texts[1].endswith("changes next to nothing of the difference")


def test_a_change_whose_interval_leaves_zero_out_by_a_hair_may_be_one():
    def truth(cell, replicate):
        levels = {"prior": 300.0, "aggregate_train": 20.0, "shuffled_dimensions": 200.0 + 35 * (replicate - 1)}
        return world(lambda _: levels)(cell, replicate)

    why = conclude(remembered(study_of(GREY + "latent_dim=4"), truth), []).parts[1]
    assert why.statements[0].text.endswith("may close a part of the difference, which is not decided here")
    assert not why.statements[0].decided


def test_controls_show_prior_and_aggregate_beside_each_other():
    def levels(cell):
        summed = cell.objective.name == "elbo"
        return {"prior": 180.0 if not summed else 292.0, "aggregate_train": 29.0 if not summed else 191.0}

    results = results_of("latent_dim=512 objective=elbo,both_means", levels)
    why = conclude(results, []).parts[1]
    (control,) = [each for each in why.statements if "sum of both terms" in each.text]
    assert "pictures of the prior and of the aggregate are both further from real images" in control.text
    assert re.search(r"prior 29[12].* for 1(79|80).*aggregate 19[01].* for (28|29)", control.numbers)


VARIED = GREY.replace("epochs=2", "epochs=2,4") + "latent_dim=4,8x4x4 objective=elbo,both_means"
"""Cells with every control."""


def rich(cell):
    return {
        "prior": 300.0, "aggregate_train": 20.0, "shuffled_dimensions": 90.0, "shell_prior": 299.0,
        "moment_normal": 60.0, "aggregate_kernel": 21.0,
    }  # fmt: skip


def test_no_symbol_and_no_number_stands_in_a_sentence():
    observations = QUESTION | {"aggregate/train/norm_auc": 0.55, "aggregate/train/active_units": 4.0}
    results = remembered(study_of(VARIED), world(rich, observations))
    conclusion = conclude(results, [])
    texts = [conclusion.seen.text, *(each.text for part in conclusion.parts for each in part.statements)]
    texts += [word for words in TILES.values() for word in words]
    assert len(texts) > 20
    for text in texts:
        assert not re.search(r"[0-9μσ‖≥±∞_\[\]]|\b(?:[A-Z][0-9]*|p|q|z|x|q_N|KL|TV|AUC)\b(?<!^A)", text), text


@pytest.mark.parametrize("width", [20, 80, 100, 250])
def test_the_terminal_has_whole_statements_and_a_table_that_fits(width):
    observations = QUESTION | {"aggregate/train/rate": 120.0}
    results = remembered(study_of(VARIED), world(rich, observations))
    conclusion = conclude(results, [])
    lines = answer_lines(conclusion, width)
    said = " ".join(line.strip() for line in lines)
    parts = (conclusion.phenomenon.shown, *conclusion.parts)
    for part in parts:
        assert f"{part.title}: {part.statements[0]}" in said
        said = said.replace(f"{part.title}: ", "")
        for statement in sorted(map(str, part.statements), key=len, reverse=True):
            said = said.replace(statement, "")
    assert not said.strip()
    assert len(lines) <= sum(LINES.values()) + 2 * len(parts)
    table = cell_table(results, width).splitlines()
    columns = max(NARROWEST, min(WIDEST, width))
    assert all(len(line) <= columns for line in [*lines, *table])
    assert all(name in table[0] for name in ("D", "rate", "error", "F prior", "F aggregate", "F repaired", "gap"))
    assert ("±" in " ".join(table[1:-4])) == (width >= 100)
    assert EXPLAINED.split(";")[0] in " ".join(table)


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_breaks_no_setting_and_tells_the_whole_shape_of_a_map(width):
    results = remembered(study_of(VARIED), world(rich))
    lines = cell_table(results, width).splitlines()
    below = {line.strip() for line in lines if line.startswith("  ")}
    assert below >= {"objective=both_means, updates=6", "objective=elbo, updates=6"}
    assert {line.split()[1] for line in lines[1:-1] if line.startswith("standard_normal, ")} == {"4", "8x4x4"}
    assert "latent=" not in " ".join(lines)


def test_the_share_stands_on_the_terminal_where_it_takes_more_lines():
    said = " ".join(line.strip() for line in answer_lines(conclude(results_of("latent_dim=4", rich), []), 80))
    assert re.search(r"share 0\.8\d* \[[^\]]*\]\]\.", said)


def test_no_number_is_parted_from_its_error():
    lines = answer_lines(conclude(results_of("latent_dim=4", rich), []), 80)
    assert "±" in " ".join(lines)
    assert not any(line.endswith("±") or line.lstrip().startswith("± 0") for line in lines)


def test_the_default_beta_is_shown_before_a_larger_gap_and_all_that_varies_is_named():
    def levels(cell):
        return {"prior": 300.0 / cell.beta, "aggregate_train": 20.0}

    command = "latent_dim=4,8 beta=0.25,1,4 objective=elbo,both_means "
    shown = phenomenon(results_of(command, levels))
    assert shown.cell.settings["beta"] == 1
    assert shown.reason.endswith(", among those with the default prior, posterior and β")
    assert re.fullmatch(r"standard_normal, objective=(elbo|both_means), beta=1, D=[48]", shown.name)
    other = phenomenon(results_of("latent_dim=4 beta=0.25,4", levels))
    assert (other.cell.settings["beta"], other.among) == (0.25, "")
    assert other.name == "standard_normal, beta=0.25, D=4"
    learned = GREY.replace("prior=standard_normal", "prior=standard_normal,vamp") + "latent_dim=4 beta=0.25,4"
    assert phenomenon(remembered(study_of(learned), world(levels))).among == "the default prior and posterior"


def test_the_name_of_the_shown_cell_has_what_most_cells_share():
    def levels(_):
        return {"prior": 300.0, "aggregate_train": 20.0}

    results = results_of("latent_dim=4 beta=1,4 objective=elbo,both_means", levels)
    three = [cell for cell in results if cell.settings["beta"] == 1 or cell.settings["objective"] == "elbo"]
    assert ", beta=1, " in phenomenon(Results(tuple(three))).name


def test_what_could_not_be_read_is_named_under_how_sure():
    results = results_of("latent_dim=4", lambda _: {"prior": 300.0, "aggregate_train": 20.0})
    sure = conclude(results, [], {Path("results/study/cells/0123abcd"): "its result is damaged"}).parts[-1]
    assert "[0123abcd: its result is damaged]" in str(sure)
    assert "left out" not in str(conclude(results, []).parts[-1])


@pytest.mark.parametrize("room", [0.5, 1.5])
def test_a_difference_that_an_interval_holds_by_a_hair_is_not_stated(room):
    """``room``: distance of the interval from zero in its half-widths."""
    interval = Interval(1.0 + room, room, 2.0 + room, 3)
    turned = Interval(-1.0 - room, -2.0 - room, -room, 3)
    assert above(interval) == below(turned) == (room > 1)
    assert not below(interval)
    assert not above(turned)
    assert above(Interval(1.5 + room, 0.5 + room, 2.5 + room, 3), 0.5) == (room > 1)
