"""The fault campaign in its short form; ``python -m tests.faults run 600`` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)  # four minutes on two quiet cores
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_no_fault_loses_a_cell_or_a_bit_or_leaves_anything_behind():
    places = 60
    command = [sys.executable, "-m", "tests.faults", "run", str(places)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1700, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"| all | {places} |" in run.stdout
