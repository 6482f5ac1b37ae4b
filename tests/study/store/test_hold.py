"""A cell is computed by one process at a time: laws of both kinds of lock, and what a lease adds between computers.

There is one computer here. Others are processes with host names of their own, and a file system whose locks do not
hold is a process whose flock always succeeds, with a list of mounts that says ``nfs4``.
"""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from study.store import hold
from study.store.hold import SEVERAL_COMPUTERS, holding, is_shared, share
from study.store.mount import mount_of

PROGRAM = """
    import fcntl, socket, sys, threading, time
    from pathlib import Path
    host, seconds, lies, task = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
    socket.gethostname = lambda: host
    if lies:
        fcntl.flock = lambda *_: None
    from study.store import hold, mount
    hold.LEASE_SECONDS = seconds
    if lies == "and the mount says so":
        mount.MOUNTS = Path("mounts")
        mount.mount_of.__defaults__ = (mount.MOUNTS,)
    place, lost = Path("cells/cell"), threading.Event()

    def count():
        for _ in range(8):
            with hold.holding(place, wait=True, lost=lost) as held:
                assert held
                before = int(Path("count").read_text())
                time.sleep(0.01)
                Path("count").write_text(str(before + 1))

    def keep():
        with hold.holding(place, wait=True, lost=lost) as held:
            print(time.monotonic(), flush=True)
            sys.stdin.read()
            lost.wait(5 * seconds) if task == "keep until lost" else None
        print(time.monotonic(), lost.is_set(), flush=True)

    count() if task == "count" else keep()
"""


HERE = socket.gethostname()


@pytest.fixture
def cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count").write_text("0")
    (tmp_path / "cells").mkdir()
    return tmp_path / "cells"


@pytest.fixture(params=["lock of an open file", "lease"])
def kind(request, cells):
    if request.param == "lease":
        share(cells)
    return request.param


@pytest.fixture
def process(cells):
    """Starts the program above on a computer of its own."""
    started = []

    def start(task, host=HERE, seconds=60.0, lies=""):
        words = [sys.executable, "-c", textwrap.dedent(PROGRAM), host, str(seconds), lies, task]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(words, text=True, cwd=cells.parent, **pipes))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        with each:  # closes its pipes
            pass


def held(cells, *, wait=False):
    return holding(cells / "cell", wait=wait, lost=threading.Event())


def test_only_one_holds(cells, kind):
    with held(cells) as first, held(cells) as second:
        assert (first, second) == (True, False)
    with held(cells) as third:
        assert third
    assert (cells / SEVERAL_COMPUTERS).exists() == (kind == "lease")


def test_whoever_waits_holds_once_it_is_free(cells, kind):
    entered, released = threading.Event(), threading.Event()

    def keep():
        with held(cells):
            entered.set()
            time.sleep(0.3)
            released.set()

    keeper = threading.Thread(target=keep)
    keeper.start()
    entered.wait()
    with held(cells, wait=True) as has:
        assert (has, released.is_set()) == (True, True)
    keeper.join()


@pytest.mark.slow
def test_processes_exclude_each_other(cells, kind, process):
    counters = [process("count") for _ in range(4)]
    assert [counter.wait(60) for counter in counters] == [0] * 4
    assert (cells.parent / "count").read_text() == "32"


def test_the_hold_of_a_process_that_was_killed_here_ends_with_it(cells, kind, process):
    keeper = process("keep")
    keeper.stdout.readline()
    with held(cells) as has:
        assert not has
    keeper.kill()
    keeper.wait()
    with held(cells) as has:
        assert has


def test_a_lease_that_is_kept_is_not_taken_over_however_long_it_lasts(cells, process, monkeypatch):
    monkeypatch.setattr(hold, "LEASE_SECONDS", 0.6)
    share(cells)
    keeper = process("keep", "node-a", 0.6)
    keeper.stdout.readline()
    threading.Timer(2.0, keeper.stdin.close).start()
    with held(cells, wait=True) as has:
        after = time.monotonic()
        assert has
    assert float(keeper.stdout.readline().split()[0]) <= after + 0.1


def test_the_lease_of_a_dead_computer_ends_and_one_of_those_who_wait_gets_it(cells, process):
    share(cells)
    dead = process("keep", "node-a", 1.0)
    dead.stdout.readline()
    dead.kill()
    dead.wait()
    killed = time.monotonic()
    counters = [process("count", f"node-{name}", 1.0) for name in "bcd"]
    assert [counter.wait(60) for counter in counters] == [0] * 3
    assert (cells.parent / "count").read_text() == "24"
    assert time.monotonic() - killed >= 1.0


def test_a_holder_that_was_suspended_learns_that_another_has_taken_over(cells, process, monkeypatch):
    monkeypatch.setattr(hold, "LEASE_SECONDS", 1.0)
    share(cells)
    keeper = process("keep until lost", "node-a", 1.0)
    keeper.stdout.readline()
    os.kill(keeper.pid, signal.SIGSTOP)
    with held(cells, wait=True) as has:
        assert has
        os.kill(keeper.pid, signal.SIGCONT)
        keeper.stdin.close()
        assert keeper.stdout.readline().split()[1] == "True"
        with held(cells) as second:
            assert not second, "the one that lost it has released what was no longer its own"


NETWORK = "36 35 0:40 / {} rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2,local_lock=none\n"


@pytest.mark.slow
def test_where_flock_lies_leases_exclude(cells, process):
    (cells.parent / "mounts").write_text(NETWORK.format(cells.parent))
    counters = [process("count", f"node-{name}", lies="and the mount says so") for name in "abc"]
    assert [counter.wait(60) for counter in counters] == [0] * 3
    assert (cells.parent / "count").read_text() == "24"


@pytest.mark.slow
def test_where_flock_lies_unnoticed_two_hold(cells, process):
    """Without the mount there would be no exclusion, so that the test above can fail."""
    for host in ("node-a", "node-b"):
        keeper = process("keep", host, lies="unnoticed")
        assert keeper.stdout.readline(), "the second enters while the first is still in"


MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
36 27 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2,local_lock=none
37 27 0:41 / /scratch rw shared:2 master:3 - lustre 10.0.0.1@tcp:/fs rw,flock,lazystatfs
38 27 0:42 / /fast rw - lustre 10.0.0.1@tcp:/fast rw,lazystatfs
39 36 0:43 / /home/me/local\\040disk rw - xfs /dev/vdb rw
40 27 0:44 / /remote rw - fuse.sshfs me@host: rw,user_id=0
41 27 0:45 / /covered rw - nfs server:/x rw
42 41 254:2 / /covered rw - ext4 /dev/vdc rw
a line of another form
"""

KINDS = {
    "/": ("ext4", True),
    "/home/me/results": ("nfs4", False),
    "/homes": ("ext4", True),
    "/scratch/a": ("lustre", True),
    "/fast/a": ("lustre", False),
    "/home/me/local disk/a": ("xfs", True),
    "/remote": ("fuse.sshfs", False),
    "/covered/a": ("ext4", True),
}


@pytest.mark.parametrize("folder", KINDS)
def test_the_mount_of_a_folder_tells_whether_locks_hold(tmp_path, folder):
    from pathlib import Path

    (tmp_path / "mounts").write_text(MOUNTS)
    found = mount_of(Path(folder), tmp_path / "mounts")
    assert (found.kind, found.locks_hold) == KINDS[folder]


def test_a_system_that_lists_no_mounts_has_locks_that_hold(cells, monkeypatch):
    assert mount_of(cells, cells / "none") is None
    monkeypatch.setattr(hold, "mount_of", lambda _: None)
    assert not is_shared(cells)
