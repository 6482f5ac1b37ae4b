"""The page of a diagnosis shows what each source decodes to, where the mismatch sits, and what a density costs."""

import math
import re

import numpy as np
import pytest
import torch

from analysis.estimate import Estimate
from analysis.randomness import stream
from study.diagnosis import diagnose, diagnose_codes
from study.diagnosis.codes import from_arrays
from study.diagnosis.cost import MOST, START, announced, seconds
from study.diagnosis.diagnose import evaluation
from study.diagnosis.evidence import Evidence, repeats_training
from study.diagnosis.pictures import figures, strip
from study.diagnosis.questions import Finding

SIDE = 6
LINES = []


def encode(x):
    loc = x.flatten(1)[:, :4].reshape(-1, 1, 2, 2) * 2 + 1
    return loc, torch.full_like(loc, 0.4)


def decode(z):
    return z.flatten(1).repeat(1, 9).reshape(-1, 1, SIDE, SIDE).sigmoid()


@pytest.fixture(scope="module")
def answer():
    images = torch.rand(400, 1, SIDE, SIDE, generator=stream(0, "pictures of a page"))
    few = evaluation(draws=60, samples=100, densities=("moment_normal", "aggregate_kernel"))
    return diagnose(encode, decode, images=images, evaluate=few, say=LINES.append)


def test_tiles_are_in_the_order_of_the_question_with_their_levels(answer):
    tiles = strip(answer.evidence)
    order = ["held_out", "reconstruction", "local", "aggregate_train", "prior", "moment_normal"]
    assert [tile.source for tile in tiles] == order
    for tile in tiles:
        value = answer.evidence.number(f"realism/{tile.source}/squared_frechet")
        shown = float(tile.level.split(" ")[0].removeprefix("≥")) if tile.level else math.nan
        assert shown == pytest.approx(value, rel=1e-2, nan_ok=True)


def test_the_page_has_the_pictures_and_nothing_from_elsewhere(answer, tmp_path):
    text = answer.page(tmp_path / "page.html").read_text("utf-8")
    assert text.count('class="strip"') == 1
    assert text.count("data:image/png;base64,") >= 6
    assert text.count('class="plot"') == 2  # dimensions by rank, places of the map
    assert "features of an untrained network" in text
    assert "s of processor time" in text
    assert text.index("q_∞ is that of all observations") < text.index("KL(q_∞")
    assert "http" not in text.replace("Content-Security", "").replace("http-equiv", "")


def test_codes_alone_have_figures_and_no_pictures(tmp_path):
    generator = stream(0, "codes of a page")
    codes = {"loc": torch.randn(100, 3, generator=generator).numpy(), "scale": np.full((100, 3), 0.5, np.float32)}
    own, held_out, said = from_arrays(codes)
    one = diagnose_codes(own, held_out, said=said, evaluate=evaluation(draws=40, densities=()))
    assert strip(one.evidence) == []
    assert len(figures(one.evidence)) == 1
    assert 'class="strip"' not in one.page(tmp_path / "page.html").read_text("utf-8")


def test_each_density_says_what_it_costs(answer):
    costs = answer.tree["costs"].to_dataset().isel(chain=0)
    assert dict(zip(costs["density"].values, costs["numbers"].values, strict=True)) == {
        "moment_normal": 1 + 4 + 16,
        "aggregate_kernel": 320 * (1 + 4 + 4),
    }
    assert (costs["seconds"] >= 0).all()
    assert (costs["num_codes"] == 320).all()
    lines = [str(line) for line in answer.findings["What to do?"]]
    assert any("moment_normal" in line and "21 numbers" in line for line in lines)
    assert any("aggregate_kernel" in line and "codes of training observations" in line for line in lines)


def test_the_time_of_decoding_is_stated_before_it_starts(answer):
    assert "s in all, of which at least" in LINES[0]
    assert LINES[0].endswith("for decoding samples")
    assert all("train" in line or "held_out" in line or " s  " in line for line in LINES[1:])


def test_the_repaired_prior_is_no_copy_of_training_codes(answer):
    assert answer.evidence.repaired() == "moment_normal"
    assert repeats_training("aggregate_kernel[bandwidths=1]")
    assert not repeats_training("gaussian_mixture")
    assert not repeats_training("of another package")
    assert Evidence(answer.tree, {}).repaired() == answer.best == "moment_normal"


class Sized:
    """As much of a replicate as its cost is told from."""

    def __init__(self, num, dim, kept=None, **settings):
        self.evaluate = evaluation(**settings)
        self.train, self.held_out = _Sized(num, kept or num), _Sized(num // 5, num // 5)
        shape = type("Prior", (), {"latent_shape": (dim,)})
        self.vae = type("Model", (), {"prior": shape, "likelihood": type("Absent", (), {"gives": "nothing"})})


class _Sized:
    def __init__(self, num, kept):
        self.num, self.rows = num, range(kept)

    def __len__(self):
        return self.num


def test_the_time_that_is_stated_grows_with_what_is_asked(monkeypatch):
    monkeypatch.setattr("study.diagnosis.cost._speed", lambda dim: 2.3e10)
    start = START / 2.3e10
    small, large = (seconds(Sized(num, 64)) - start for num in (10_000, 20_000))
    assert 1.5 < large / small < 4.1  # in proportion to N, but for pairs of codes
    small += start
    assert seconds(Sized(10_000, 64, densities=())) < small
    assert seconds(Sized(10_000, 64, draws=4_000)) > small
    line = announced(Sized(60_000, 16_384, kept=1_024))
    assert line.startswith("N = 60,000, D = 16,384, 12,000 held out; 2,000 draws under all N components; ")
    assert "densities fitted to 1,024 codes" in line
    least, most = re.search(r"; between (\d+) min and (\d+) min in all$", line).groups()
    assert int(most) == pytest.approx(MOST * int(least), abs=MOST)


def test_a_small_diagnosis_is_said_to_take_what_its_start_takes(monkeypatch):
    monkeypatch.setattr("study.diagnosis.cost._speed", lambda dim: 1e9 if dim == 2 else 1e10)
    assert 10 < seconds(Sized(100, 2)) < 11  # what does not grow with D goes by the speed of a pass of many dimensions
    assert announced(Sized(100, 2)).endswith("between 10 s and 30 s in all")


def test_a_lower_end_that_is_not_above_0_says_so():
    ends = {value: Finding("nats", Estimate(value, 0.25, 9, 9, "lower")).number for value in (1.5, -2.0)}
    assert ends == {1.5: "≥ 1.5 ± 0.25", -2.0: "no lower bound above 0 (-2 ± 0.25)"}
    assert Finding("gain, nats", Estimate(-2.0, 0.25, 9, 9)).number == "-2 ± 0.25"


def test_counts_are_shown_in_full():
    assert Finding("dimensions", Estimate.exact(16_384.0, 5)).number == "16,384"
    assert Finding("nats", Estimate.exact(0.123456, 5)).number == "0.1235"
