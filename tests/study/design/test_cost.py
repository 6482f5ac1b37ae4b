"""Cost: every number that multiplies the work of a cell is counted, or bounded by another; too much is refused."""

from typing import get_args

import pytest

from study.design.cell import Cell, Evaluate, Train
from study.design.cost import FLOPS_PER_SECOND, Cost, check_cost
from study.errors import ConfigurationError

LARGE = 1_000_000_000

BOUNDED = {
    "evaluate.importance_images": "held-out images",
    "evaluate.two_sample_draws": "codes",
    "evaluate.refinement": "training images",
    "evaluate.components": "codes: a fit needs ten for each parameter",
    "evaluate.rank": "latent dimensions",
    "evaluate.pictures": "samples",
    "train.batch_size": "training images",
    "train.encoder_updates": "updates",
    "train.kl_cycles": "epochs",
    "train.patience": "epochs",
}
"""Settings by what else bounds them."""

TOGETHER = {
    "evaluate.displacements": {"samples": 1_000},
    "evaluate.annealing_chains": {"annealing": 10},
    "evaluate.annealing_temperatures": {"annealing": 10},
    "evaluate.calibration_draws": {"calibration": 10},
    "train.processes": {"batch_size": 12_000},
}
"""Settings that do nothing by themselves."""

BASE = {
    "dataset": "digits",
    "latent_dim": 2,
    "network": "mlp",
    "train": {"epochs": 2},
    "evaluate": {"samples": 10, "importance": [1], "components": [1]},
}


def _whole_numbers(annotation):
    return annotation is int or any(_whole_numbers(inner) for inner in get_args(annotation))


COUNTS = [
    f"{section}.{name}"
    for section, settings in (("evaluate", Evaluate), ("train", Train))
    for name, field in settings.model_fields.items()
    if _whole_numbers(field.annotation)
]


def cost(setting, value=None, parameters=10_000, **others):
    section, _, name = setting.partition(".")
    settings = {key: dict(of) if isinstance(of, dict) else of for key, of in BASE.items()}
    settings[section] |= others | ({name: value} if name else {})
    if name == "updates":
        del settings["train"]["epochs"]
    cell = Cell.from_config(settings)
    found = Cost.of(cell, parameters=parameters, num_images=1_437, pixels=64)
    check_cost(cell, found)
    return found


def test_the_settings_are_found():
    assert {"evaluate.importance", "evaluate.draws", "train.epochs", "train.updates"} <= set(COUNTS)
    assert set(BOUNDED) | set(TOGETHER) <= set(COUNTS)


@pytest.mark.parametrize("setting", sorted(set(COUNTS) - set(BOUNDED)))
def test_a_setting_that_multiplies_work_is_counted(setting):
    others = TOGETHER.get(setting, {})
    listed = setting.endswith(("importance", "padding"))
    before = cost(setting.split(".")[0] + ".", **others)
    few, many = (cost(setting, [n] if listed else n, **others) for n in (3_000, 4_000))
    assert few.seconds > before.seconds or few.memory > before.memory
    assert many.seconds > few.seconds or many.memory > few.memory


@pytest.mark.parametrize("setting", sorted(BOUNDED))
def test_what_the_images_bound_costs_no_more_than_they_allow(setting):
    listed = setting.endswith("components")
    if setting == "train.kl_cycles":
        with pytest.raises(ConfigurationError, match="fit into 2 epochs"):
            cost(setting, LARGE)
        return
    first, second = (cost(setting, [n] if listed else n) for n in (1_437, LARGE))
    assert (first.memory, first.seconds) == (second.memory, second.seconds)


def test_bounds_decode_each_held_out_image_once_more():
    """``log_px_all`` takes one draw of all held-out images of each replicate."""
    held_out, parameters = 360, 10_000  # as many operations for one image, where they are not counted
    replicates = Cell.from_config(BASE).seeds
    without, with_one = (cost("evaluate.importance", draws, parameters, importance_images=100) for draws in ([], [1]))
    more = replicates * (100 + held_out) * parameters / FLOPS_PER_SECOND
    assert with_one.seconds - without.seconds == pytest.approx(more, rel=1e-3)


def test_images_that_stay_in_their_file_take_no_memory():
    small, large = (Cell.from_config(BASE | {"dataset": "npy", "limit": limit}) for limit in (100, 10**8))
    assert Cost.of(large, 10, 10**8, 10**4).memory - Cost.of(small, 10, 10**8, 10**4).memory <= 12 * 2**26
    digits = Cell.from_config(BASE)
    assert Cost.of(digits, 10, 10**8, 10**4).memory > 4 * 10**12


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("evaluate.importance", [LARGE], "be computed: it takes .* d at least, where 366 d are allowed; lower"),
        ("evaluate.annealing", LARGE, "be computed: it takes .* d at least"),
        ("train.epochs", LARGE, "be computed: it takes .* d at least"),
        ("evaluate.padding", [LARGE], "be built: it needs .* TB of memory at least"),
    ],
)
def test_what_would_not_end_is_refused(setting, value, what):
    with pytest.raises(ConfigurationError, match=what):
        cost(setting, value, parameters=10**7)
