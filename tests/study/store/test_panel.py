"""Panels: every table of estimates comes back as it was, bit for bit."""

import numpy as np
import pytest

from study.store.contents import EstimateTable
from study.store.panel import decoded, encoded


def table(replicates, rows, quantities):
    shape = (replicates, len(rows), len(quantities))
    rng = np.random.default_rng(replicates)
    value = rng.normal(size=shape)
    value.flat[::3] = np.nan
    value.flat[1::5] = [-0.0] * len(value.flat[1::5])
    places = ({name: place for place, name in enumerate(names)} for names in (rows, quantities))
    return EstimateTable(value, np.full(shape, np.inf), *places)


TABLES = {
    "several groups": {
        "aggregate": table(3, ["train", "held_out"], ["kl", "rate", "σ"]),
        "realism": table(3, ["prior"], ["squared_frechet"]),
    },
    "one number": {"aggregate": table(1, ["train"], ["kl"])},
    "a group without quantities": {"mixtures": table(2, ["full"], []), "aggregate": table(2, ["train"], ["kl"])},
    "a last group without rows": {"aggregate": table(2, ["train"], ["kl"]), "mixtures": table(2, [], ["kl"])},
    "no groups": {},
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_read_is_what_was_written(name):
    found = decoded(encoded(TABLES[name]))
    assert list(found) == list(TABLES[name])
    for group, before in TABLES[name].items():
        after = found[group]
        assert (after.rows, after.quantities) == (before.rows, before.quantities)
        assert after.value.shape == before.value.shape
        assert after.value.flags.aligned
        assert after.value.tobytes() == before.value.tobytes()
        assert after.standard_error.tobytes() == before.standard_error.tobytes()


def test_nobody_changes_what_others_read():
    value = decoded(encoded(TABLES["one number"]))["aggregate"].value
    with pytest.raises(ValueError, match="read-only"):
        value[:] = 0.0
