"""Operations of a cell's parts: those of products and convolutions, counted by hand; and the times that follow."""

import json
from pathlib import Path

import pytest

from study.design.cell import Cell
from study.design.families import LIKELIHOODS, NETWORKS, POSTERIORS
from study.run.checking import check, check_all

FINDINGS = Path(__file__).parents[3] / "study" / "findings"


def test_dense_layers_take_two_operations_for_each_weight():
    network = {"name": "mlp", "hidden": [100]}
    counted = check(Cell.from_config({"dataset": "mnist", "latent_dim": 16, "network": network})).operations
    assert counted.encode == 2 * (784 * 100 + 100 * 2 * 16)
    assert counted.decode == 2 * (16 * 100 + 100 * 784)
    assert counted.trained == 3 * (counted.encode + counted.decode)


def test_a_weight_of_a_convolution_counts_at_each_place():
    network = {"name": "spatial", "channels": [8, 16]}
    counted = check(Cell.from_config({"dataset": "mnist", "latent_dim": "64x8x8", "network": network})).operations
    strided = 4 * 4 * (1 * 8 * 16 * 16 + 8 * 16 * 8 * 8)
    assert counted.encode == 2 * (strided + 3 * 3 * 16 * 2 * 64 * 8 * 8)
    assert counted.decode > 2 * (3 * 3 * 64 * 16 * 8 * 8)


FAMILIES = {"network": NETWORKS, "posterior": POSTERIORS, "likelihood": LIKELIHOODS}


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in FAMILIES.items() for name in names])
def test_the_operations_of_every_part_are_counted(family, name):
    prior = "hypersphere" if name == "von_mises_fisher" else "standard_normal"
    counted = check(Cell.from_config({"dataset": "mnist", "latent_dim": 16, "prior": prior, family: name})).operations
    assert counted.encode > 0
    assert counted.decode > 0


def test_draws_of_an_objective_multiply_the_training():
    settings = {"dataset": "mnist", "latent_dim": 16, "train": {"updates": 10_000}}
    one, five = (
        Cell.from_config(settings | {"objective": objective}) for objective in ("elbo", {"name": "iwae", "draws": 5})
    )
    seconds = {key: cost.seconds for key, cost in check_all([one, five]).items()}
    assert seconds[five.key] > 1.5 * seconds[one.key]


@pytest.mark.parametrize("study", ["asker", "first_look", "first_look-2", "first_look-3"])
def test_expected_seconds_are_within_half_of_those_that_studies_took(study):
    """Of the processor, by the manifests of exported cells; a classifier is one cell's, and counted by itself."""
    for path in sorted((FINDINGS / study / "cells").glob("*/manifest.json")):
        manifest = json.loads(path.read_bytes())
        details = manifest["details"]
        cell = Cell.from_config(manifest["config"])
        cost = check_all([cell])[cell.key]
        if details["training_cpu_seconds"] < details["training_seconds"] / 10:
            continue  # another process trained it, which was interrupted, and its processor time is not recorded
        took = details["training_cpu_seconds"] + details["measurement_cpu_seconds"]
        assert 1 / 1.5 < took / (cost.seconds - cost.classifiers) < 1.5, cell.key
