"""Calibration of the effects: simulated studies on the design of the first look, and on that of the preset digits.

Each simulated study has the cells, replicates and rates of a real one and an outcome with a known effect of log D. Two
things must hold: the 95 % interval of the effect covers it, and "D matters beyond the rate", which is claimed where
this interval excludes 0, is rarely claimed where it is false. In the first world everything is drawn from the prior of
the regression. Four others break it: replicates that are independent, cells that share most of their error (the
intra-class correlation is 0.92, as in the real study), and a curved or hinged effect of the rate with none of D.
"""

import numpy as np
import pytest
import torch

from analysis.effects import Replicates, _kernels, _terms, fit_effects
from analysis.mixed_model import SCALE
from analysis.randomness import integer_seed, stream

STUDIES = 200

FIRST_LOOK = [
    # latent dimension, updates, prior, rates in nats of three replicates, from study/findings/first_look
    (16, 375, "gaussian_mixture", (17.76, 16.18, 16.42)),
    (512, 375, "standard_normal", (20.99, 20.25, 19.80)),
    (16, 375, "standard_normal", (17.61, 17.42, 15.91)),
    (512, 125, "standard_normal", (12.99, 12.77, 12.79)),
    (16, 125, "standard_normal", (8.35, 4.97, 5.57)),
]


def _around(mean, error):
    """Three replicates of this mean and standard error of it."""
    return tuple(mean + error * np.sqrt(3) * np.array([-1.0, 0.0, 1.0]))


DIGITS = [
    # of study/findings/digits.csv, with the length of training between its two at their mean
    *((d, 880, "standard_normal", _around(*rate)) for d, rate in zip(
        (2, 8, 32, 128), ((2.37, 0.10), (3.25, 0.16), (3.13, 0.12), (2.46, 0.06)), strict=True)),
    *((d, 1760, "standard_normal", _around(*rate)) for d, rate in zip(
        (2, 8, 32, 128), ((2.72, 0.06), (3.74, 0.10), (3.61, 0.10), (3.18, 0.05)), strict=True)),
    *((d, 3520, "standard_normal", _around(*rate)) for d, rate in zip(
        (2, 8, 32, 128), ((3.08, 0.03), (4.23, 0.05), (4.09, 0.08), (3.90, 0.04)), strict=True)),
    *((d, 880, "gaussian_mixture", _around(*rate)) for d, rate in zip(
        (2, 32, 128), ((2.35, 0.04), (1.75, 0.21), (1.22, 0.02)), strict=True)),
    *((d, 880, "vamp", _around(*rate)) for d, rate in zip(
        (2, 32, 128), ((2.37, 0.05), (2.35, 0.08), (0.49, 0.23)), strict=True)),
    (32, 880, "standard_normal", _around(13.49, 0.19)),  # β = 0.25
    (32, 880, "standard_normal", _around(6.25, 0.16)),  # β = 0.5
]  # fmt: skip

BROKEN = ("independent", "cells", "quadratic", "hinge")


def _z(column):
    return (column - column.mean()) / column.std(ddof=1)


def simulated(design, world, effect, rng):
    """A study on this design in which log D has this effect, per standard deviation of log D."""
    dim, updates = (np.repeat([row[place] for row in design], 3).astype(float) for place in (0, 1))
    prior = [row[2] for row in design for _ in range(3)]
    rate = np.concatenate([row[3] for row in design])
    cell, replicate = np.repeat(np.arange(len(design)), 3), np.tile(np.arange(3), len(design))
    error = np.full(len(rate), 0.02)

    def study(outcome):
        columns = (outcome, error, np.log(dim), rate, np.log(updates))
        numbers = [torch.from_numpy(column) for column in columns]
        return Replicates(*numbers, prior, [*map(str, cell)], replicate.tolist(), ["one"] * len(rate))

    if world == "prior":
        blank = study(rate)
        columns = torch.cat([term.columns for term in _terms(blank, "none", 1.0).values()], 1).numpy()
        coefficients = rng.normal(size=columns.shape[1])
        coefficients[1] = effect
        outcome = columns @ coefficients + error * rng.normal(size=len(rate))
        for kernel in _kernels(blank).values():
            values, axes = np.linalg.eigh(kernel.numpy())
            noise = (axes * np.sqrt(np.maximum(values, 0))) @ rng.normal(size=len(values))
            outcome += SCALE * abs(rng.normal()) * noise
        return study(outcome)
    x = _z(np.log1p(rate))
    shape = {
        "quadratic": 0.5 * x + 0.5 * _z(x**2),
        "hinge": _z(np.maximum(rate - np.quantile(rate, 0.6), 0)),
    }.get(world, 0.8 * x)
    between = {"independent": 0.0, "cells": 0.28}.get(world, 0.1)
    of_prior = {name: 0.3 * rng.normal() for name in sorted(set(prior))}
    outcome = (
        effect * _z(np.log(dim)) + shape + 0.2 * _z(np.log(updates)) + np.array([of_prior[name] for name in prior])
        + between * rng.normal(size=len(design))[cell] + 0.05 * rng.normal(size=3)[replicate]
        + 0.08 * rng.normal(size=len(rate))
    )  # fmt: skip
    return study(outcome)


def covers(design, world, effect, seed):
    """Whether the 95 % interval of the effect holds it."""
    study = simulated(design, world, effect, np.random.default_rng(integer_seed(seed, "study", world)))
    slope = fit_effects(study, stream(seed, "fit", world), num_draws=500)["posterior"]["log_dim"]
    drawn = slope.values * slope.attrs["per_unit"] * float(study.log_dim.std())
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return bool(lower <= effect <= upper)


def share(design, worlds, size):
    """Share of STUDIES, the worlds in turn, whose interval covers a normal effect of this standard deviation."""
    effects = size * np.random.default_rng(integer_seed(0, "effects")).normal(size=STUDIES)
    return np.mean([covers(design, worlds[k % len(worlds)], effect, k) for k, effect in enumerate(effects)])


@pytest.mark.parametrize(
    "design",
    [pytest.param(FIRST_LOOK, marks=pytest.mark.slow), pytest.param(DIGITS, marks=pytest.mark.long)],
    ids=["first_look", "digits"],
)
class TestCalibration:
    # Of 200 intervals that cover with 95 %, fewer than 91 % or more than 98 % cover in one set of seeds of forty; the
    # regression that took replicates for independent covered in 66 % and claimed falsely in a third to a half.

    def test_intervals_cover_where_the_prior_of_the_regression_holds(self, design):
        assert 0.91 <= share(design, ("prior",), 1.0) <= 0.98

    def test_dimension_is_rarely_claimed_to_matter_where_it_does_not(self, design):
        assert 1 - share(design, BROKEN, 0.0) <= 0.07

    def test_intervals_are_not_too_narrow_where_the_world_differs(self, design):
        # With five cells they are too wide: the spread between cells is then known from its prior above all.
        assert share(design, BROKEN, 0.6) >= 0.91
