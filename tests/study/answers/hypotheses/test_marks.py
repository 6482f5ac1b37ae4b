"""Marks: the region in which a claim holds is shaded as far as the axes reach, on either scale."""

import math

import pytest
from matplotlib.figure import Figure

from study.answers.hypotheses._marks import region


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("vertical", [True, False])
def test_a_region_far_from_the_points_is_in_sight_with_room_to_spare(scale, vertical):
    axes = Figure().add_subplot()
    axes.plot([20, 900], [20, 900])
    axes.set(xscale=scale, yscale=scale)
    before = axes.get_xlim() if vertical else axes.get_ylim()
    region(axes, 0.02, math.inf, vertical=vertical)
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    assert low < 0.02
    assert (low > 0) == (scale == "log")
    assert high == before[1]
    assert len(axes.patches) == 1
