"""Numbers as they are read: the digits that are asked for, no power of ten among the usual sizes."""

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from analysis.interval import Interval
from analysis.numerals import NONE, plain, plus_minus, with_interval

USUAL = st.floats(1e-5, 9e8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1019.4, "1020"),
        (5.702, "5.7"),
        (9.996, "10"),
        (999.6, "1000"),
        (12345.6, "12300"),
        (-0.012345, "−0.0123"),
        (0.0, "0"),
        (-0.0, "0"),
        (100.0, "100"),
        (3e-7, "3e−7"),
        (-2.5e12, "−2.5e12"),
        (math.inf, NONE),
        (math.nan, NONE),
    ],
)
def test_numbers_are_plain(value, text):
    assert plain(value) == text


@given(USUAL, st.integers(1, 8), st.sampled_from([1.0, -1.0]))
def test_what_is_read_is_the_number_to_those_digits_and_no_power_of_ten(size, digits, sign):
    text = plain(sign * size, digits)
    assert "e" not in text
    assert float(text.replace("−", "-")) == pytest.approx(sign * size, rel=0.5001 * 10.0 ** (1 - digits))
    assert not text.endswith(".")
    if "." in text:
        assert not text.endswith("0")


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e5))
def test_the_error_has_two_digits_and_the_value_as_many_places(value, error):
    assume(abs(value) < 1e9)
    shown, after = plus_minus(value, error).split(" ± ")
    assert len(shown.partition(".")[2]) == len(after.partition(".")[2])
    assert float(after) == pytest.approx(error, rel=0.0501)
    assert float(shown.replace("−", "-")) == pytest.approx(value, abs=0.0501 * max(error, 10.0))


@pytest.mark.parametrize("error", [0.0, math.nan, math.inf])
def test_a_value_without_an_error_stands_alone(error):
    assert plus_minus(1019.4, error) == "1020"


def test_intervals_are_written_so():
    assert str(Interval.around(1019.4, 14.6)) == "1020 [991, 1050]"


@example(50.5, 50.5)
@given(st.floats(-1e3, 1e3), st.floats(1e-4, 1e3))
def test_a_value_has_no_more_places_than_the_ends_of_its_interval_need(value, half):
    shown, ends = with_interval(value, value - half, value + half).rstrip("]").split(" [")
    # Half a unit of the third digit of the end that is further from 0, which is rounded to three.
    assert float(shown.replace("−", "-")) == pytest.approx(value, abs=0.0051 * (abs(value) + half))
    smallest = min(abs(value - half) or math.inf, abs(value + half) or math.inf)
    assert len(shown.partition(".")[2]) <= max(0, 3 - math.floor(math.log10(smallest))), ends


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((-0.000155, -0.04503, 0.04471), "−0.0002 [−0.045, 0.0447]"),
        ((0.0000469, -0.12, 0.12), "0 [−0.12, 0.12]"),
        ((0.53712, 0.50481, 0.56201), "0.537 [0.505, 0.562]"),
        ((2.0, -math.inf, math.inf), "2"),
        ((math.nan, 0.0, 1.0), NONE),
    ],
)
def test_an_interval_stands_beside_its_value(numbers, text):
    assert with_interval(*numbers) == text
