"""One cell from images to its result: in what precision it is measured."""

import pytest
import torch

from study.design.cell import Cell
from study.run import experiment


class Seen(Exception):
    pass


def test_convolutions_keep_fp32_while_measuring(tmp_path, monkeypatch):
    def measure(*_, **__):
        raise Seen(torch.backends.cudnn.allow_tf32)

    monkeypatch.setattr(experiment, "measure", measure)
    cell = Cell.from_config(
        {"latent_dim": 2, "network": {"name": "mlp", "hidden": [8]}, "train": {"updates": 2, "epochs": "none"}}
    )
    assert torch.backends.cudnn.allow_tf32, "torch's default"
    with pytest.raises(Seen) as seen:
        experiment.run_cell(cell, tmp_path, device="cpu", data_root=None, report=lambda progress: None)
    assert seen.value.args == (False,)
    assert torch.backends.cudnn.allow_tf32, "which is put back"
