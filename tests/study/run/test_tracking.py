"""Tracking: what reports say reaches TensorBoard, and without it the error is one sentence."""

import sys

import pytest

from study.errors import EnvironmentFault
from study.run.job import Event, Outcome
from study.run.progress import Progress
from study.run.tracking import tracking
from study.store.store import Store


def test_without_a_folder_nothing_is_written(tmp_path):
    with tracking(None, Store(tmp_path), {}) as watch:
        watch(Event("k", Progress("training", 1, 2, loss=3.0)))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_an_environment_fault(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(EnvironmentFault, match=r"not installed; `pip install latent-study\[tensorboard\]`"),
        tracking(tmp_path / "t", Store(tmp_path), {}),
    ):
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorBoard's own
def test_scalars_arrive_at_their_step_under_the_name_of_the_cell(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tracking(tmp_path, Store(tmp_path / "none"), {"k": "vamp, D=2"}) as watch:
        watch(Event("k", None))
        for step, loss in ((10, 3.0), (20, 2.0)):
            watch(Event("k", Progress("training", step, 20, loss=loss, rate=1.0)))
        watch(Event("k", Progress("measuring", 1, 2)))
        watch(Event("k", Outcome("k", "failed", "for a reason")))
    log = EventAccumulator(str(tmp_path / "vamp, D=2"))
    log.Reload()
    assert [(point.step, point.value) for point in log.Scalars("training/loss")] == [(10, 3.0), (20, 2.0)]
    assert set(log.Tags()["scalars"]) == {"training/loss", "training/rate"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_leaves_curves_and_sample_grids(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from study.cli import main

    words = ["smoke", "prior=vamp", "latent_dim=2", "seeds=1", "--no-report", "--workers", "1"]
    assert main(["run", *words, "--results", str(tmp_path / "r"), "--tensorboard", str(tmp_path / "t")]) == 0
    (folder,) = (tmp_path / "t").iterdir()
    log = EventAccumulator(str(folder))
    log.Reload()
    assert "epoch/loss" in log.Tags()["scalars"]
    assert "samples/prior" in log.Tags()["images"]


def test_a_folder_that_cannot_be_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EnvironmentFault, match=r"cannot write in .*file: .*; choose another --tensorboard"),
        tracking(tmp_path / "file", Store(tmp_path), {}),
    ):
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_logs_that_cannot_go_on_end_with_one_warning(tmp_path, caplog):
    pytest.importorskip("tensorboard")
    with tracking(tmp_path / "t", Store(tmp_path), {"k": "x" * 300, "l": "fine"}) as watch:
        for step in range(3):
            watch(Event("k", Progress("training", step, 3, loss=1.0)))
    (record,) = caplog.records
    assert "TensorBoard sees no more of this run" in record.getMessage()
