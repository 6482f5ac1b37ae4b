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


def test_a_word_that_its_column_does_not_hold_has_a_line_of_its_own():
    heads, numbers = ("prior", *"abcdef"), ["1234567890"] * 6
    lines = listing(heads, {"": [Row("gaussian_mixture, beta=4", numbers)]}, "", NARROWEST).splitlines()
    assert [line.split()[:1] for line in lines[1:]] == [["gaussian_mixture,"], ["1234567890"], ["beta=4"]]


def test_numbers_that_leave_labels_no_room_stand_below_them():
    lines = listing(("prior", *"abcdef"), {"": [Row("vamp", ["123456789012"] * 6)]}, "", NARROWEST).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["vamp", "123456789012"]
