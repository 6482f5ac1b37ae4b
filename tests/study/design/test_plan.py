"""Plans: sums and maxima of what cells take, each classifier once, and nothing said of what is not known."""

import pytest

from study.cli import main
from study.design.cell import Cell
from study.design.cost import Cost
from study.design.plan import Plan


def cells(number, **settings):
    return [Cell.from_config({"latent_dim": dim, "seeds": 1, **settings}) for dim in range(1, number + 1)]


def costs(of, seconds=10.0, classifiers=0.0, memory=2.0**30):
    return {cell.key: Cost(1, memory, seconds, classifiers, 7.0) for cell in of}


def test_cells_share_a_classifier_and_no_two_data_sets_do():
    same, limited = cells(3), cells(2, limit=100)
    plan = Plan([*same, *limited], costs([*same, *limited], 10.0, 6.0), 1)
    assert plan.total == 3 * 4.0 + 6.0 + 2 * 4.0 + 6.0
    assert plan.longest == 10.0
    assert plan.makespan == plan.total
    assert plan.disk == 5 * 7.0


def test_a_cell_without_samples_does_not_train_the_classifier_of_the_others():
    some = cells(3)
    table = costs(some, 10.0, 6.0) | {some[0].key: Cost(1, 0.0, 10.0, 0.0)}
    assert Plan(some, table, 1).total == Plan(some[::-1], table, 1).total == 10.0 + 10.0 + 4.0


@pytest.mark.parametrize("pace", [0.5, 1.0, 3.0])
def test_times_are_in_proportion_to_the_pace_and_end_no_sooner_than_the_longest(pace):
    some = cells(5)
    table = costs(some)
    table[some[0].key] = Cost(1, 0.0, 70.0)
    plan = Plan(some, table, 3, pace)
    assert plan.total == pytest.approx(110.0 * pace)
    assert plan.makespan == plan.longest == pytest.approx(70.0 * pace)
    assert Plan(some, table, 1, pace).makespan == pytest.approx(plan.total)


def test_what_is_not_known_is_not_counted_and_said():
    some = cells(2)
    table = costs(some) | {some[1].key: Cost(1, 2.0**30, None)}
    plan = Plan(some, table, 1)
    assert plan.total == 10.0
    assert "of 1 cells the time is not known" in "\n".join(plan.lines())
    assert Plan([], {}, 4).lines() == ["to compute: 0 cells, 0 trainings"]
    assert Plan([], {}, 4).makespan == 0.0


def test_the_verb_lists_the_cells_and_what_they_take(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("study.cli.plan.pace", lambda device: 2.0)
    words = ["plan", "smoke", "--results", str(tmp_path), "--device", "cpu", "--workers"]
    assert main([*words, "1"]) == 0
    alone = capsys.readouterr().out
    assert "4 cells: 4 missing; a second of the model takes 2.00 s on this cpu" in alone
    assert "to compute: 4 cells, 8 trainings" in alone
    assert "with 1 process" in alone
    assert main([*words, "1000"]) == 0
    assert "with 4 processes" in capsys.readouterr().out
    assert main([*words, "0"]) == 2
    assert not any(tmp_path.iterdir())


def test_the_pace_of_a_machine_is_a_positive_number():
    from study.run.pace import pace

    assert 0.05 < pace("cpu") < 500
