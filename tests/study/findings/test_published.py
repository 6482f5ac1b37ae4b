"""The study of published models: what is compared with what, and every model has its cells in the preset."""

import numpy as np
import pandas as pd

from study.answers.results import Results
from study.answers.settings import settings
from study.design.study import Study
from study.findings import published


def made():
    """Trainings of three seeds, in which the VampPrior gains 2 nats over the standard prior, whatever the seed."""
    seeds = np.arange(3)
    lines = [
        pd.DataFrame(
            {"model": name, "updates": updates, "replicate": seeds}
            | dict.fromkeys(published.COLUMNS, 1.0)
            | {"log p(x)": -90.0 + 5 * seeds + gained + updates / 1000}
        )
        for name, gained in ((published.STANDARD, 0.0), ("VampPrior, D = 40", 2.0))
        for updates in (1000, 2000)
    ]
    return pd.concat(lines, ignore_index=True)


def test_differences_are_paired_by_seed_and_by_length():
    found = published.differences(made())
    assert list(found["updates"]) == [1000, 2000]
    assert np.allclose(found[["value", "lower", "upper"]], 2.0), "what seeds have in common is no spread"
    assert np.allclose(found["published"], -82.43 + 84.45)
    assert "| 2 [2, 2] | 2.02 |" in published.difference_table(found)


def test_levels_have_their_error_over_seeds_and_the_distance_to_the_literature():
    found = published.levels(made())
    assert np.allclose(found["log p(x)"], [-84, -83, -82, -81])
    assert np.allclose(found["log p(x), error"], 5 / 3**0.5)
    table = published.level_table(found)
    assert "−84.45 ± 0.12" in table
    assert table.splitlines()[2].endswith("| 0.45 |")


def test_tables_are_those_of_the_export():
    lines = published.trainings(Results.some([published.EXPORT]))
    assert set(lines["replicate"]) == set(range(3)), "three seeds"
    for computed, path in (
        (published.levels(lines), published.LEVELS),
        (published.differences(lines), published.DIFFERENCES),
    ):
        pd.testing.assert_frame_equal(computed, pd.read_csv(path), check_exact=False, rtol=1e-6, check_dtype=False)


def test_every_cell_of_the_preset_is_of_one_model():
    cells = Study.load("published").cells()
    stored = [settings(cell.config(), 60_000) for cell in cells]

    def is_of(model, cell):
        return all(cell.get(name.replace("__", ".")) == value for name, value in model.settings.items())

    models = [[name for name, model in published.MODELS.items() if is_of(model, cell)] for cell in stored]
    assert [len(names) for names in models] == [1] * len(cells)
    assert {name for (name,) in models} == published.MODELS.keys() - {published.SMALL_BATCHES}
