"""Memory: what can still be taken is the least of the computer's, of every control group's and of the own limit."""

import math
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from study.design import memory
from study.design.cost import LIBRARY_BYTES, Cost, memory_together

FREE = 8 << 30


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes a group (version, path, limit, use, reclaimable bytes of that) where the kernel would show it."""
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE))

    def write(version, path, limit, use, reclaimable):
        folder = tmp_path / "cgroup" / ("memory" if version == 1 else "") / path
        folder.mkdir(parents=True, exist_ok=True)
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
        for name, value in zip(names, (limit, use), strict=True):
            (folder / name).write_text(f"{value}\n")
        mark = "total_inactive_file" if version == 1 else "inactive_file"
        (folder / "memory.stat").write_text(f"anon 7\n{mark} {reclaimable}\n")
        (tmp_path / "membership").write_text("12:cpu:/other\n3:memory:/a/b\n0::/\n" if version == 1 else "0::/a/b\n")

    return write


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("path", ["a/b", "a", "."])
def test_a_group_around_this_process_limits_it(groups, version, path):
    groups(version, path, 4 << 30, 1 << 30, 1 << 28)
    assert memory.available_memory() == (3 << 30) + (1 << 28)


@pytest.mark.parametrize("version", [1, 2])
def test_the_narrowest_group_counts_and_another_process_group_does_not(groups, version):
    groups(version, "a/b", 6 << 30, 0, 0)
    groups(version, "a", 4 << 30, 0, 0)
    groups(version, "other", 1 << 20, 0, 0)
    assert memory.available_memory() == 4 << 30
    groups(version, "a", 1 << 30, 2 << 30, 0)  # lowered beneath what is in use
    assert memory.available_memory() == 0


def test_groups_without_a_limit_leave_the_computers(groups):
    assert memory.available_memory() == FREE
    groups(2, "a/b", "max", 1 << 30, 0)
    assert memory.available_memory() == FREE
    groups(1, "a/b", 2**63 - 4096, 1 << 30, 0)
    assert memory.available_memory() == FREE


def test_the_own_limit_counts():
    code = "from study.design.memory import available_memory; print(available_memory())"
    limited = f"ulimit -v 2000000; exec '{sys.executable}' -c '{code}'"
    done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) == 2_000_000 * 1024


def test_processes_share_libraries_and_the_largest_cells_count():
    costs = [Cost(None, LIBRARY_BYTES + own, None) for own in (1e9, 3e9, 2e9)]
    assert [memory_together(costs, n) - LIBRARY_BYTES for n in (1, 2, 3, 9)] == [3e9, 5e9, 6e9, 6e9]
    assert memory_together([], 2) == LIBRARY_BYTES
    assert math.isfinite(memory.available_memory())
