"""The end of the process: with the command's code, after all that must happen, and without taking modules down."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import atexit, os, sys, threading, time
import study.cli

class Imported:
    def __del__(self):
        os.write(2, b"taken down")

imported = [Imported()]
imported.append(imported)

def last():
    time.sleep(0.1)
    print("a thread", flush=True)

def command(words, **options):
    print("the command", end="; ")
    atexit.register(lambda: print("the exit function", end="; "))
    threading.Thread(target=last).start()
    if sys.argv[1] == "fault":
        raise ZeroDivisionError("a fault of the program")
    return int(sys.argv[1])

study.cli.app = command
sys.exit(study.cli.main())
"""


def ended(*words, stdout=subprocess.PIPE):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, check=False, timeout=120
    )


@pytest.mark.parametrize("code", [0, 5])
def test_threads_and_exit_functions_have_their_turn_and_modules_are_left_alone(code):
    done = ended("-c", PROGRAM, str(code))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout == "the command; a thread\nthe exit function; "


def test_a_fault_of_the_program_is_printed_as_ever():
    done = ended("-c", PROGRAM, "fault")
    assert done.returncode == 1
    assert "ZeroDivisionError: a fault of the program" in done.stderr
    assert "the exit function" in done.stdout


def test_what_cannot_be_written_at_the_end_is_an_error_as_ever():
    with Path("/dev/full").open("w") as full:
        done = ended("-c", PROGRAM, "0", stdout=full)
    assert done.returncode != 0


@pytest.mark.parametrize(("word", "code"), [("--version", 0), ("no-verb", 2)])
def test_the_command_has_its_own_exit_code(word, code):
    done = ended("-m", "study", word)
    assert done.returncode == code
    assert (importlib.metadata.version("latent-study") in done.stdout) == (code == 0)
