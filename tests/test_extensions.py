"""Adding a part is one file: it is found, every law of its family reaches it, and none fails but of a faulty part.

One copy of the project takes a sound part of every family at once, a second one the parts with faults. In each of them
one process runs the laws whose identifiers bear the names of the added parts, and the laws of a family as a whole.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.design.families import FAMILIES

from .extensions import EXTENSIONS, Addition

ROOT = Path(__file__).parents[1]
OUTCOMES = ("PASSED", "FAILED")

pytestmark = pytest.mark.slow

RUN = """
import runpy, sys, pytest
modules, arguments = sys.argv[1].split(), sys.argv[2:]
for module in modules:
    runpy.run_module(module, run_name="__main__")
sys.exit(pytest.main(arguments))
"""


@dataclass(frozen=True)
class Outcomes:
    """Identifiers of the tests that passed and failed, and all that pytest wrote."""

    passed: list[str]
    failed: list[str]
    text: str


def run_laws(
    copy: Path, additions: Iterable[Addition], files: Iterable[str], whole: Iterable[str], modules: Iterable[str] = ()
) -> Outcomes:
    """Pytest in a copy of the project with ``additions``, which finds the copy's packages and no others.

    Args:
        copy: folder to make the copy in.
        additions: parts to add.
        files: of tests, of which those run that bear the name of an addition.
        whole: further tests, as ``file::test``.
        modules: run first, in the same process: to import what they need takes longer than to run them.
    """
    for name in ("analysis", "models", "study", "tests"):
        # Compiled modules come along: they stay valid, as copies keep the times of their sources.
        shutil.copytree(ROOT / name, copy / name)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy2(ROOT / name, copy)
    for addition in additions:
        for path, text in addition.files.items():
            (copy / path).write_text(text, "utf-8")
    words = [*(addition.name for addition in additions), *(test.rpartition("::")[2] for test in whole)]
    selected = dict.fromkeys([*files, *(test.partition("::")[0] for test in whole)])
    options = ["-q", "-rpfE", "--tb=short", "-p", "no:cacheprovider", "-k", " or ".join(words)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, " ".join(modules), *options, *selected],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "250"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode in {0, 1}, text[-6_000:]
    assert not re.search(r"^ERROR ", done.stdout, re.MULTILINE), text[-6_000:]
    passed, failed = (re.findall(rf"^{word} (\S.*?)(?: - .*)?$", done.stdout, re.MULTILINE) for word in OUTCOMES)
    return Outcomes(passed, failed, text)


def of(word: str, tests: Iterable[str]) -> list[str]:
    """The tests whose identifiers contain ``word`` as a whole word."""
    return [test for test in tests if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", test)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Outcomes:
    """Of a sound part of every family."""
    extensions = EXTENSIONS.values()
    return run_laws(
        tmp_path_factory.mktemp("sound"),
        [extension.sound for extension in extensions],
        [law for extension in extensions for law in extension.laws],
        [test for extension in extensions for test in extension.of_all],
        [extension.afterwards for extension in extensions if extension.afterwards],
    )


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Outcomes:
    """Of all faulty parts, under the first laws of their families."""
    extensions = EXTENSIONS.values()
    return run_laws(
        tmp_path_factory.mktemp("faulty"),
        [addition for extension in extensions for addition in extension.faulty.values()],
        [extension.laws[0] for extension in extensions],
        [test for extension in extensions for test in extension.of_all],
    )


def test_every_family_is_extended():
    assert set(FAMILIES) <= set(EXTENSIONS)


@pytest.mark.parametrize("family", EXTENSIONS)
def test_a_part_is_one_file_under_every_law(family, sound):
    extension = EXTENSIONS[family]
    assert not of(extension.sound.name, sound.failed), sound.text[-6_000:]
    for laws in extension.laws:
        reached = [test for test in of(extension.sound.name, sound.passed) if test.startswith(f"{laws}::")]
        assert reached, f"no law of {laws} reached {extension.sound.name}"
    for test in extension.of_all:
        assert of(test, sound.passed), f"{test} did not pass\n{sound.text[-6_000:]}"


FAULTS = [(family, fault) for family, extension in EXTENSIONS.items() for fault in extension.faulty]


@pytest.mark.parametrize(("family", "fault"), FAULTS, ids=[f"{family}: {fault}" for family, fault in FAULTS])
def test_laws_notice_a_faulty_part(family, fault, faulty):
    addition = EXTENSIONS[family].faulty[fault]
    assert of(addition.noticed_by, faulty.failed), f"no law failed of {addition.noticed_by}\n{faulty.text[-6_000:]}"
