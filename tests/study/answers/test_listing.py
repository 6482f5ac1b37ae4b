"""Listings: rows under titles, within the columns of the terminal."""

import pytest

from study.answers.listing import NARROWEST, Row, columns_in, listing

HEADS = ("prior", "level", "share")
ROWS = [
    Row("vamp, objective=both_means", ["12.3±0.5", "0.51 [0.40, 0.62]"]),
    Row("lars", ["4", "–"]),
]
CAPTION = "level: squared Fréchet distance of samples to held-out images, of which the lower is the better one. " * 2


@pytest.mark.parametrize("width", [20, 80, 90, 250])
@pytest.mark.parametrize("wide", [1, 3, 5])
def test_no_line_is_wider_than_the_terminal_or_eighty_and_no_word_is_lost(width, wide):
    """``wide``: how many times the numbers stand side by side."""
    heads = (HEADS[0], *HEADS[1:] * wide)
    rows = [Row(row.label, [*row.numbers] * wide) for row in ROWS]
    title = "digits, D = 2, " + ", ".join(f"setting.{number}=value" for number in range(9))
    lines = listing(heads, {title: rows}, CAPTION, width).splitlines()
    assert max(map(len, lines)) <= columns_in(width)
    words = " ".join(" ".join(lines).split())
    assert all(part in words for part in (title, "lars", "objective=both_means", CAPTION.strip()))


def test_errors_and_intervals_are_left_out_where_there_is_no_room_for_labels():
    roomy = listing(HEADS, {"": ROWS}, "", NARROWEST)
    assert "12.3±0.5" in roomy
    assert "[0.40, 0.62]" in roomy
    heads, rows = (HEADS[0], *HEADS[1:] * 3), [Row(row.label, [*row.numbers] * 3) for row in ROWS]
    narrow = listing(heads, {"": rows}, "", NARROWEST)
    assert narrow.count("12.3 ") == narrow.count("0.51") == 3
    assert "±" not in narrow
    assert "[" not in narrow


def test_a_label_goes_on_below_as_whole_settings():
    row = Row("vamp, prior.components=20, train.schedule=cosine", ["1234567890"] * 4)
    lines = listing(("prior", *"abcd"), {"": [row]}, "", NARROWEST).splitlines()
    assert lines[1].split() == ["vamp,", "prior.components=20,", *["1234567890"] * 4]
    assert lines[2] == "  train.schedule=cosine"


@pytest.mark.parametrize(("label", "number"), [("gaussian_mixture, beta=4", "1234567890"), ("vamp", "123456789012")])
def test_a_label_without_room_beside_its_numbers_stands_above_them(label, number):
    lines = listing(("prior", *"abcdef"), {"": [Row(label, [number] * 6)]}, "", NARROWEST).splitlines()
    assert lines[1] == label
    assert lines[2].split() == [number] * 6
