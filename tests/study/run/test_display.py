"""Progress: lines that fit where they are shown, and a time left that follows what cells took."""

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study.run import display as module
from study.run.display import display, wrapped
from study.run.forecast import Forecast
from study.run.job import Event, Outcome
from study.run.progress import Progress

LONG = "standard_normal, latent=8×8, objective=both_means, train.epochs=400, D=64x8x8"
TITLES = {"a": "vamp, objective=both_means, D=4", "b": "vamp, D=2", "c": "vamp, D=4"}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def shown(events, *, terminal=False, width=80, expected=None, titles=TITLES):
    clock = Clock()
    forecast = Forecast(expected or dict.fromkeys(titles, 1.0), 1, clock)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    with display(titles, console, forecast) as show:
        for seconds, event in events:
            clock.now += seconds
            show(event)
    return console.file.getvalue()


TRAINING = Progress("training", 30, 310, loss=1234.5, rate=45.6, distortion=1188.9, images_per_second=12345.0)
STORED = [
    (0.0, Event("a", None)),
    (5.0, Event("a", TRAINING)),
    (55.0, Event("a", Outcome("a", "stored", "compiled: two replicates or more", 60.0))),
    (0.0, Event("b", None)),
    (60.0, Event("b", Outcome("b", "stored", "", 60.0))),
    (0.0, Event("c", None)),
    (60.0, Event("c", Outcome("c", "stored", "", 60.0))),
]


def test_a_pipe_has_one_line_for_each_cell_that_ended_with_the_time_left():
    lines = shown(STORED).splitlines()
    assert [line[:5] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]
    assert lines[1] == "[2/3] vamp, D=2: stored after 60 s; about 60 s left"
    assert "left" not in lines[2]
    assert lines[0].endswith("about 2 min left")
    assert all(len(line) <= 80 for line in lines)


def test_a_pipe_hears_of_the_study_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.0)
    lines = shown([(0.0, Event("a", None)), (1.0, Event("a", TRAINING))]).splitlines()
    assert lines[-1] == "study: 0 of 3 cells ended, 1 running (training 10%)"


def test_a_pipe_has_no_phases_where_there_is_no_room(monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.0)
    lines = shown([*[(0.0, Event(key, None)) for key in "abc"], *[(1.0, Event(key, TRAINING)) for key in "abc"]])
    assert "3 running (training 10%, training 10%, training 10%)" in lines
    many = {f"{number}": "vamp, D=2" for number in range(9)}
    lines = shown([(1.0, Event(key, TRAINING)) for key in many], titles=many).splitlines()
    assert lines[0] == "study: 0 of 9 cells ended, 1 running (training 10%)"
    assert lines[-1] == "study: 0 of 9 cells ended, 9 running"


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("title", ["vamp, D=2", LONG])
def test_no_line_of_a_terminal_is_wider_than_it_is_and_a_running_cell_has_its_whole_name(width, title):
    text = shown(STORED[:2], terminal=True, width=width, titles=TITLES | {"a": title})
    lines = module.Text.from_ansi(text).plain.splitlines()
    assert "training" in text
    assert "study: 0 of 3" in text
    assert max(len(line) for line in lines) <= width
    assert " ".join(line.strip() for line in lines).count(title) >= 1
    assert ("images/s" in text) == (width == 200)


def test_cells_that_differ_in_the_middle_of_their_names_end_in_lines_that_differ():
    titles = {name: LONG.replace("both_means", name) for name in ("both_means", "kl_mean")}
    lines = shown([(0.0, Event(name, Outcome(name, "stored", "", 60.0))) for name in titles], titles=titles)
    assert all(title in " ".join(line.strip() for line in lines.splitlines()) for title in titles.values())
    assert all(len(line) <= 80 for line in lines.splitlines())
    assert "…" not in lines


def test_a_reason_is_whole_and_its_lines_fit():
    reason = "an image is damaged: " + "word " * 40
    lines = shown([(0.0, Event("a", None)), (1.0, Event("a", Outcome("a", "failed", reason)))]).splitlines()
    assert " ".join(lines).split().count("word") == 40
    assert all(len(line) <= 80 for line in lines)


@given(st.lists(st.text("ab-=,", min_size=1, max_size=20), min_size=1), st.integers(22, 50))
def test_what_does_not_fit_goes_on_in_the_next_line_word_by_word(words, columns):
    lines = wrapped(" ".join(words), columns)
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= columns for line in lines)


def test_the_time_left_follows_expected_costs():
    clock = Clock()
    forecast = Forecast({"small": 1.0, "large": 10.0, "other": 4.0}, 1, clock)
    assert math.isnan(forecast.seconds)
    forecast.start("small")
    clock.now = 3.0
    forecast.end("small")
    assert forecast.seconds == 3.0 * 14.0
    forecast.start("large")
    clock.now = 13.0
    assert forecast.seconds == 20.0 + 12.0
    clock.now = 1000.0  # longer than it should: what is left of it is not known to be anything
    assert forecast.seconds == 12.0


def test_workers_share_what_is_left_but_not_one_cell():
    clock = Clock()
    forecast = Forecast({"a": 1.0, "b": 1.0, "c": 4.0}, 2, clock)
    forecast.start("a")
    clock.now = 1.0
    forecast.end("a")
    assert forecast.seconds == 4.0
    forecast.end("c")  # by another run: it tells nothing of speed
    assert forecast.seconds == 1.0
    forecast.end("b")
    assert forecast.seconds == 0.0


def test_cells_of_unknown_cost_count_alike():
    clock = Clock()
    forecast = Forecast({"a": None, "b": 7.0, "c": 0.0}, 1, clock)
    forecast.start("a")
    clock.now = 2.0
    forecast.end("a")
    assert forecast.seconds == 4.0
