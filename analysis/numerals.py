"""Numerals: numbers as people read them: three significant digits, no powers of ten where digits will do, and times."""

from __future__ import annotations

import math

DIGITS = 3
"""Significant digits of a number that stands alone."""

NONE = "–"
"""Stands for a number that is not there."""

_LARGEST, _SMALLEST = 1e9, 1e-5
"""Beyond these a power of ten is easier to read than zeros."""


def plain(value: float, digits: int = DIGITS) -> str:
    """``value`` to so many significant digits, without trailing zeros; a dash where it is not finite.

    Args:
        value: the number.
        digits: significant digits, at least 1.

    >>> plain(1019.4), plain(5.702), plain(-0.012345), plain(0.0), plain(math.nan)
    ('1020', '5.7', '−0.0123', '0', '–')
    """
    if not math.isfinite(value):
        return NONE
    if value and not _SMALLEST <= abs(value) < _LARGEST:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return _signed(f"{mantissa}e{int(power)}")
    decimals = _decimals(value, digits)
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    return _signed(text.rstrip("0").rstrip(".") if "." in text else text)


def with_interval(value: float, lower: float, upper: float) -> str:
    """``value [lower, upper]``, the value to no more places than the ends have; without an interval, the value alone.

    Args:
        value: the number.
        lower: end of its interval, in the same unit.
        upper: the other end.

    >>> with_interval(0.53712, 0.50481, 0.56201), with_interval(-0.000155, -0.04503, 0.04471)
    ('0.537 [0.505, 0.562]', '−0.0002 [−0.045, 0.0447]')
    """
    if not (math.isfinite(value) and math.isfinite(lower) and math.isfinite(upper)):
        return plain(value)
    places = max(_decimals(end, DIGITS) for end in (lower, upper))
    shown = round(value, places) if _decimals(value, DIGITS) > places else value
    return f"{plain(shown)} [{plain(lower)}, {plain(upper)}]"


def three_places(value: float) -> str:
    """A share to three places, since more would be within its error; a dash where it is not finite.

    Args:
        value: the share.

    >>> three_places(-0.0000155), three_places(0.53712), three_places(-0.3), three_places(math.nan)
    ('0.000', '0.537', '−0.300', '–')
    """
    return _signed(f"{value:.3f}") if math.isfinite(value) else NONE


def share_with_interval(value: float, lower: float, upper: float) -> str:
    """A share and the ends of its interval, each to three places.

    Args:
        value: the share.
        lower: end of its interval.
        upper: the other end.

    >>> share_with_interval(0.53712, 0.50481, 0.56201)
    '0.537 [0.505, 0.562]'
    """
    return f"{three_places(value)} [{three_places(lower)}, {three_places(upper)}]"


def probability(value: float, places: int) -> str:
    """A probability to so many places; a bound where it would round to 0 or to 1.

    Args:
        value: the probability.
        places: digits after the point, at least 1.

    >>> probability(0.0436, 2), probability(0.0004, 3), probability(0.999, 2)
    ('0.04', '< 0.001', '> 0.99')
    """
    least = 10.0**-places
    if value < least:
        return f"< {least:g}"
    return f"> {1 - least:g}" if value > 1 - least else f"{value:.{places}f}"


def plus_minus(value: float, error: float, most: int | None = None) -> str:
    """``value ± error`` to two digits of the error.

    Args:
        value: the number.
        error: its standard error, in the same unit; where there is none, the value stands alone, see :func:`plain`.
        most: significant digits of the value, where there is no room for more.

    >>> plus_minus(1018.7, 15.21), plus_minus(1.708, 1.36), plus_minus(301.2, 7.1), plus_minus(0.03244, 0.0041)
    ('1019 ± 15', '1.7 ± 1.4', '301.2 ± 7.1', '0.0324 ± 0.0041')
    """
    if not math.isfinite(value) or not error > 0 or not math.isfinite(error):
        return plain(value)
    if most is None and error < _SMALLEST:
        return f"{plain(value)} ± {plain(error, 2)}"
    decimals = _decimals(error, 2) if most is None else min(_decimals(error, 2), _decimals(value, most))
    decimals = max(0, decimals)
    return f"{_signed(f'{value:.{decimals}f}')} ± {error:.{decimals}f}"


def duration(seconds: float) -> str:
    """A time in days, hours, minutes or seconds, whichever is the largest of which there are two.

    Args:
        seconds: the time, s.

    >>> duration(0.2), duration(119.0), duration(121.0), duration(5400.0), duration(200_000.0)
    ('1 s', '119 s', '2 min', '90 min', '2 d')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def _decimals(value: float, digits: int) -> int:
    """Places after the point at which ``value`` has so many significant digits; negative before it."""
    if not value:
        return 0
    _, _, power = f"{value:.{digits - 1}e}".partition("e")  # of the rounded value: 9.996 is 10.0
    return digits - 1 - int(power)


def _signed(text: str) -> str:
    """With the sign of minus, and no minus before zero."""
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")
