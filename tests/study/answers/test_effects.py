"""Effects over stored results: the family that is taken, the units, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from study.answers.effects import COLUMNS, PIT_COLUMNS, Effects, store_effects, stored_effects
from study.answers.regression import comparable, effects, stabilised
from study.answers.results import Results
from study.cli import main
from study.errors import ConfigurationError
from study.store import Store

S = 0.01
"""Standard error of every KL: small beside all of them, so that asinh(KL / 2s) is log(KL / s)."""


class Family:
    """Replicates with known coefficients, standing in for stored cells, among ``others`` that belong to no family."""

    def __init__(self, rows: list[dict], others: int = 0) -> None:
        self.rows = rows
        self.others = others

    def __len__(self):
        return len({row["key"] for row in self.rows}) + self.others

    def partition(self, *factors):
        assert set(factors) == {"latent_dim", "beta", "prior", "updates"}
        return [self]

    def levels(self, setting):
        return sorted({row[setting] for row in self.rows})

    def frame(self, **estimates):
        frame = pd.DataFrame(self.rows)
        columns = {name: frame[address.rpartition("/")[2]] for name, address in estimates.items()}
        return frame.assign(**columns, **{f"{name}_error": S for name in estimates})


def family(cells: int = 12) -> Family:
    generator = torch.Generator().manual_seed(0)
    rows = []
    for prior, shift in (("standard_normal", 0.4), ("vamp", -0.4)):
        for dim, updates in zip((2, 8, 32, 128, 8, 32), (500, 500, 500, 500, 2000, 2000), strict=True):
            # The rate varies between cells: within them alone it would not tell its effect from theirs.
            of_cell = 20 * float(torch.rand((), generator=generator)) + 2
            for replicate in range(3):
                rate = of_cell + 0.2 * float(torch.rand((), generator=generator))
                noise = 0.05 * float(torch.randn((), generator=generator))
                log_kl = 0.5 * np.log1p(rate) + 0.2 * np.log(dim) - 0.3 * np.log(updates / 500) + shift + noise
                common = {"key": f"{prior}{dim}{updates}", "replicate": replicate, "latent_dim": dim, "prior": prior}
                kl = float(np.exp(log_kl))
                rows.append(common | {"rate": rate, "kl": kl, "updates": updates, "dataset": "digits"})
    return Family(rows[: 3 * cells])


def test_known_coefficients_are_found_in_their_units(tmp_path, caplog):
    fitted = effects(family(), "kl")
    assert not caplog.records
    table = fitted.table.set_index("coefficient")
    truth = {"log_dim": 0.2, "rate": 0.5, "log_updates": -0.3, "prior_effect[standard_normal]": 0.4}
    for name, value in truth.items():
        row = table.loc[name]
        # Twelve cells with noise 0.05 know every coefficient to 0.05.
        assert row["lower"] < row["mean"] < row["upper"]
        assert row["mean"] == pytest.approx(value, abs=0.15), name
    assert set(table["replicates"]) == {36}
    assert set(table["cells"]) == {12}
    assert table.loc["log_dim", "positive"] > 0.99
    assert table["ess"].min() >= 400
    assert table["r_hat"].max() <= 1.01
    path = store_effects(fitted, tmp_path, "digits", "kl")
    assert pd.read_csv(path)["mean"].tolist() == pytest.approx(table["mean"].tolist())
    (again,) = stored_effects([tmp_path], "digits")
    assert again.pit[list(PIT_COLUMNS)].to_numpy() == pytest.approx(fitted.pit.to_numpy())


def test_cells_that_are_left_out_are_named(caplog):
    effects(Family(family().rows, others=3), "kl")
    assert "effects on kl: 3 of 15 cells are left out" in caplog.text


def test_stabilised_outcomes_are_odd_logarithms_with_the_errors_of_the_delta_method():
    value, error = np.array([-5.0, 0.0, 5.0, 500.0, 5000.0]), np.array([2.0, 2.0, 2.0, 20.0, 200.0])
    outcome, spread = stabilised(value, error)
    assert outcome[0] == -outcome[2]
    assert outcome[1] == 0
    assert outcome[4] - outcome[3] == pytest.approx(np.log(10), abs=1e-3)
    step = 1e-5
    unit = 2 * np.median(error)
    slope = (np.arcsinh((value + step) / unit) - np.arcsinh((value - step) / unit)) / (2 * step)
    assert spread == pytest.approx(slope * error, rel=1e-6)
    # Without errors, a hundredth of the median size is the unit, and nothing is infinite.
    assert np.isfinite(np.concatenate(stabilised(np.array([0.0, 1.0, 2.0]), np.zeros(3)))).all()


def test_what_it_refuses(monkeypatch):
    with pytest.raises(ConfigurationError, match="did you mean 'kl'"):
        effects(Results(()), "kll")
    with pytest.raises(ConfigurationError, match="found no such family"):
        effects(Results(()), "kl")
    with pytest.raises(ConfigurationError, match="found no such family"):
        effects(family(cells=3), "kl")
    # Too few draws to tell: the posterior is refused with both numbers and with what to do.
    with pytest.raises(ConfigurationError, match=r"effective draws and r_hat .* have \d+ and \d\.\d+, .* --draws 400"):
        effects(family(), "kl", draws=100)


def test_one_data_set_has_nothing_to_be_compared_with():
    assert not comparable(Results(()))


def test_effects_are_kept_beside_a_study_that_has_their_cells(tmp_path, monkeypatch, capsys):
    """Where the page of those cells looks for them, whatever study is named first."""
    folders = {dataset: tmp_path / dataset for dataset in ("digits", "mnist")}
    cells = {}
    for dataset, folder in folders.items():
        store = Store(folder)
        store.cells.mkdir(parents=True)
        part = SimpleNamespace(store=store, settings={"dataset": dataset})
        cells[dataset] = SimpleNamespace(stored=(part,), settings=part.settings)
    monkeypatch.setattr(Results, "some", lambda folders: Results(tuple(cells.values())))
    monkeypatch.setattr("study.cli.effects.comparable", lambda results: False)
    row = dict.fromkeys(COLUMNS, 1) | {"outcome": "kl", "coefficient": "rate"}
    fitted = Effects(pd.DataFrame([row]), pd.DataFrame([dict.fromkeys(PIT_COLUMNS, 0.5)]))
    monkeypatch.setattr("study.cli.effects.effects", lambda *_: fitted)
    assert main(["effects", *map(str, folders.values())]) == 0
    for dataset, folder in folders.items():
        assert len(stored_effects([folder], dataset)) == 1, dataset
        assert not any(stored_effects([folder], other) for other in folders if other != dataset)
