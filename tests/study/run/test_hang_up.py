"""A terminal that is closed under a study: its cells are saved, as after Ctrl-C."""

import os
import pty
import signal
import sys
import time

import pytest

RUN = ["-m", "study", "run", "smoke", "latent_dim=2", "prior=standard_normal", "train.epochs=5000", "--device", "cpu"]


@pytest.mark.slow
def test_a_closed_terminal_saves_and_stops(tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, *RUN, "--workers", "1", "--results", str(tmp_path)])
    seen, end = b"", time.monotonic() + 200
    while b"training" not in seen and time.monotonic() < end:
        seen += os.read(terminal, 10_000)
    time.sleep(1.0)  # a first update has been made
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert list(tmp_path.rglob("checkpoint.safetensors"))
