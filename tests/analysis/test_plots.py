"""Plots: every figure of made-up numbers, and colours that follow from names."""

import matplotlib
import numpy as np
import pytest

from analysis import alignment_plot, draw_plots, plots
from analysis.interval import Interval
from analysis.plots import Decomposition

RNG = np.random.default_rng(0)
POINTS = [(2, Interval(1.0, 0.8, 1.2, 3)), (128, Interval(30.0, -2.0, 62.0, 3))]
SERIES = {"standard_normal": POINTS, "standard_normal, beta=4": POINTS, "vamp": POINTS[:1]}

FIGURES = {
    plots.trend: (SERIES, "nats"),
    draw_plots.bubbles: ((RNG.normal(size=50), RNG.normal(size=50)), (RNG.normal(size=50) - 9, RNG.normal(size=50))),
    draw_plots.shells: (RNG.normal(size=50), RNG.normal(size=60) + 2),
    plots.decomposition: ([Decomposition("vamp, D = 2", 2.0, 0.5, 0.1, True)], 7.3),
    plots.rate_distortion: ({label: [(x, p, p) for x, p in points] for label, points in SERIES.items()},),
    plots.forest: ([("vamp", POINTS[0][1]), ("standard_normal", POINTS[1][1])], "AUC", (0.5,)),
    alignment_plot.alignment: ({label: [(125, p, p) for _, p in points] for label, points in SERIES.items()},),
    plots.curves: ({"vamp": np.array([np.nan, 3.0, 2.0])}, "nats"),
}


def drawn(function):
    figure = function(*FIGURES[function])
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("function", FIGURES, ids=lambda function: function.__name__)
def test_a_figure_has_labelled_axes_a_caption_and_leaves_the_settings_alone(function):
    before = dict(matplotlib.rcParams)
    (axes,) = drawn(function).axes
    assert axes.get_xlabel()
    assert axes.get_ylabel() or len(axes.get_yticklabels()) == len(FIGURES[function][0])
    assert len(function.__doc__.split()) > 10
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("function", FIGURES, ids=lambda function: function.__name__)
def test_nothing_is_drawn_outside_the_figure(function):
    figure = drawn(function)
    width, height = figure.get_size_inches() * figure.dpi
    box = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert box.x0 >= -2
    assert box.y0 >= -2
    assert box.x1 <= width + 2
    assert box.y1 <= height + 2


def test_a_name_has_its_colour_and_marker_wherever_it_stands():
    assert plots.colour("vamp") == plots.colour("vamp, beta=4, train.epochs=80")
    assert plots.marker("vamp") == plots.marker("vamp, beta=4")
    assert len({plots.colour(name) for name in ("standard_normal", "gaussian_mixture", "vamp")}) == 3


def test_labels_of_one_name_are_told_apart_by_dashes():
    styles = plots.lines(SERIES)
    first, second = styles["standard_normal"], styles["standard_normal, beta=4"]
    assert first["color"] == second["color"]
    assert first["linestyle"] != second["linestyle"]


@pytest.mark.parametrize("paper", ["#ffffff", "#171a20"])
@pytest.mark.parametrize("colour", plots.PALETTE)
def test_series_stand_out_from_light_and_dark_pages(colour, paper):
    one, other = sorted(map(luminance, (colour, paper)))
    assert (other + 0.05) / (one + 0.05) >= 3  # WCAG 2.2, 1.4.11


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_an_interval_is_drawn_where_it_is():
    figure = drawn(plots.forest)
    (axes,) = figure.axes
    segments = [segment for bars in axes.containers for line in bars.lines[2] for segment in line.get_segments()]
    assert sorted(tuple(segment[:, 0]) for segment in segments) == [(-2.0, 62.0), (0.8, 1.2)]
