"""Progress: lines that fit where they are shown, and a time left that follows what cells took."""

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study.run import display as module
from study.run.display import display, fitted
from study.run.forecast import Forecast
from study.run.job import Event, Outcome
from study.run.progress import Progress

LONG = "standard_normal, latent=8×8, objective=both_means, train.epochs=400, D=64x8x8"
TITLES = {"a": LONG, "b": "vamp, D=2", "c": "vamp, D=4"}


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
def test_no_line_of_a_terminal_is_wider_than_it_is(width):
    text = shown(STORED[:2], terminal=True, width=width)
    assert "training" in text
    assert "study: 0 of 3" in text
    assert max(len(line) for line in module.Text.from_ansi(text).plain.splitlines()) <= width
    assert ("images/s" in text) == (width == 200)


def test_a_reason_is_whole_and_its_lines_fit():
    reason = "an image is damaged: " + "word " * 40
    lines = shown([(0.0, Event("a", None)), (1.0, Event("a", Outcome("a", "failed", reason)))]).splitlines()
    assert " ".join(lines).split().count("word") == 40
    assert all(len(line) <= 80 for line in lines)


@given(st.text(min_size=0, max_size=60), st.integers(1, 50))
def test_what_does_not_fit_gives_way_in_its_middle(text, room):
    short = fitted(text, room)
    assert len(short) <= room
    assert len(text) > room or short == text
    if len(text) > room > 2:
        assert (short[0], short[-1]) == (text[0], text[-1])


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
