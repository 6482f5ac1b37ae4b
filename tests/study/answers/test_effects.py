"""Effects over stored results: the family that is taken, the units, and what is refused."""

import pandas as pd
import pytest
import torch

from study.answers.effects import store_effects
from study.answers.regression import effects
from study.answers.results import Results
from study.errors import ConfigurationError


class Family:
    """Replicates with known coefficients, standing in for stored cells."""

    def __init__(self, rows: list[dict]) -> None:
        self.rows = rows

    def families(self, *factors):
        return [self] if factors == ("latent_dim", "prior") else []

    def values(self, address):
        frame = pd.DataFrame(self.rows)
        return frame.assign(value=frame[address.rpartition("/")[2]])


def family() -> Family:
    generator = torch.Generator().manual_seed(0)
    rows = []
    for prior, shift in (("standard_normal", 1.0), ("vamp", -1.0)):
        for dim in (2, 8, 32, 128):
            for replicate in range(3):
                rate = 5 + 3 * float(torch.randn((), generator=generator))
                noise = 0.05 * float(torch.randn((), generator=generator))
                kl = 0.5 * rate + 0.2 * float(torch.tensor(dim).log()) + shift + noise
                common = {"key": f"{prior}{dim}", "replicate": replicate, "latent_dim": dim, "prior": prior}
                rows.append(common | {"rate": rate, "kl": kl})
    return Family(rows)


@pytest.mark.slow
def test_known_coefficients_are_found_in_their_units(tmp_path):
    table = effects(family(), "kl").set_index("coefficient")
    truth = {"log_dim": 0.2, "rate": 0.5, "prior_effect[standard_normal]": 1.0, "prior_effect[vamp]": -1.0}
    for name, value in truth.items():
        row = table.loc[name]
        # Twenty-four replicates with noise 0.05 know every coefficient to 0.03.
        assert row["lower"] < row["mean"] < row["upper"]
        assert row["mean"] == pytest.approx(value, abs=0.1), name
    assert set(table["replicates"]) == {24}
    assert table.loc["rate", "positive"] == 1
    path = store_effects(table.reset_index(), tmp_path, "digits", "kl")
    assert pd.read_csv(path)["mean"].tolist() == pytest.approx(table["mean"].tolist())


def test_what_it_refuses():
    with pytest.raises(ConfigurationError, match="did you mean 'kl'"):
        effects(Results(()), "kll")
    with pytest.raises(ConfigurationError, match="found no such family"):
        effects(Results(()), "kl")
