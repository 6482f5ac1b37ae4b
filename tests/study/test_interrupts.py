"""Ctrl-C at any moment of the command: no traceback, and the exit code of an interrupted process."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from study.cli import main
from study.cli.signals import INTERRUPTED, interruptible

ROOT = Path(__file__).parents[2]

ENDS = {0, INTERRUPTED, -signal.SIGINT}
"""Exit codes: it was done before, it was interrupted, it was ended."""

SHOTS = """
import json, os, random, signal, sys, time
from study.cli import main

def shot(words, moment, gaps):
    reading, writing = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as the command does before its imports
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        os.dup2(writing, 1), os.dup2(writing, 2)
        sys.argv = ["latent-study", *words]
        code = 70
        try:
            code = main()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.close(writing)
    time.sleep(moment)
    for gap in gaps:
        os.kill(pid, signal.SIGINT)
        time.sleep(gap)
    with open(reading, "rb") as file:
        output = file.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output

words, places = json.loads(sys.argv[1]), int(sys.argv[2])
start = time.perf_counter()
first = shot(words, 0, [])
duration = time.perf_counter() - start
rng = random.Random(0)
shots = [
    shot(words, rng.uniform(0, duration), [rng.choice([0, 5e-5, 2e-4, 1e-3]) for _ in range(1 + place % 3)])
    for place in range(places)
]
print(json.dumps([first, *shots]))
"""
"""Forks the command and sends it 1, 2 and 3 signals at random moments and spacings."""


@pytest.mark.parametrize("words", [["--version"], ["run", "smoke", "latent_dim=2,3", "--nothing"]])
def test_signals_at_random_moments_end_it_without_a_word(tmp_path, words):
    program = [sys.executable, "-c", SHOTS, json.dumps(words), "90"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    (code, output), *shots = json.loads(done.stdout)
    assert "Traceback" not in output
    assert {ended for ended, _ in shots} <= ENDS | {code}
    assert INTERRUPTED in {ended for ended, _ in shots}, "no signal came while the command was at work"
    for _, said in shots:
        assert "Traceback" not in said
        assert "Exception" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "places"),
    [(["list"], 15), (["--version"], 15), (["run", "smoke", "latent_dim=2", "--dry-run"], 9)],
    ids=["list", "version", "run"],
)
def test_signals_from_the_start_of_a_real_process(tmp_path, words, places):
    rng = random.Random(1)
    for place in range(places):
        process = subprocess.Popen(
            [sys.executable, "-m", "study", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        time.sleep(rng.choice([0.05, rng.uniform(0, 0.2), rng.uniform(0, 1), rng.uniform(0, 3)]))
        for _ in range(1 + place % 3):
            process.send_signal(signal.SIGINT)
            time.sleep(rng.choice([0, 2e-4, 2e-3, 2e-2]))
        output, _ = process.communicate(timeout=60)
        if "Traceback" in output:  # before the package could say anything
            assert not re.search(rf"{re.escape(str(ROOT))}/study/(?!__init__)|lazy_loader|typer", output), output
        else:
            assert process.returncode in ENDS, output


def test_a_program_gets_its_handlers_back(monkeypatch):
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert main(["list", "--nothing"]) == 2
    assert signal.getsignal(signal.SIGINT) is before
    assert sys.unraisablehook is hook

    def interrupted():
        assert signal.getsignal(signal.SIGINT) is not before
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it was not interrupted")

    assert interruptible(interrupted, returns=True) == INTERRUPTED
    assert signal.getsignal(signal.SIGINT) is before

    def left_alone():
        assert signal.getsignal(signal.SIGINT) is before
        return 7

    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)  # an interactive session
    assert interruptible(left_alone, returns=True) == 7


def test_a_thread_and_errors_of_the_command_are_left_alone():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(interruptible(lambda: 7, returns=True)))
    thread.start()
    thread.join()
    assert codes == [7]
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, returns=True)


ENDED = {
    "twice": "shoot()\n    except KeyboardInterrupt:\n        shoot()",
    "in an import": "import shooting\n    except ImportError:\n        pass",
    "in a finaliser": "Finalised()\n    finally:\n        pass",
    "at the end": "pass\n    finally:\n        pass\n    return 0",
    "turned into another error": "shoot()\n    except KeyboardInterrupt:\n        raise ImportError('of a library')",
}


@pytest.mark.parametrize("body", ENDED.values(), ids=ENDED)
def test_what_cannot_be_interrupted_ends_without_a_word(tmp_path, body):
    shoot = "import os, signal\ndef shoot():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    raising = "try:\n    shoot()\nexcept KeyboardInterrupt:\n    raise ImportError('as an extension module does')\n"
    (tmp_path / "shooting.py").write_text(shoot + raising)
    (tmp_path / "program.py").write_text(
        f"{shoot}\nimport sys\nfrom study.cli.signals import interruptible\nclass Finalised:\n    def __del__(self):\n"
        f"        shoot()\ndef command():\n    try:\n        {body}\n    print('it went on')\n"
        "code = interruptible(command, returns=False)\nshoot()\nprint('it went on')\nsys.exit(code)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")
