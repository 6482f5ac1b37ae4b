"""Freed memory that a worker keeps."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

FAULTS = """
import resource, torch
from study.run.heap import keep_freed_memory
{call}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    torch.ones(2**24)
before = faults()
for _ in range(10):
    torch.ones(2**24)
print(faults() - before)
"""


def page_faults(call: str) -> int:
    """Of ten tensors of 64 MiB, one after the other, in a process of its own that first does ``call``."""
    command = [sys.executable, "-c", FAULTS.format(call=call)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is the allocator of glibc that is asked")
def test_memory_that_was_freed_is_used_again():
    # From none to two thirds of them, as the blocks happen to lie.
    assert page_faults("keep_freed_memory()") < 0.8 * page_faults("pass")
