"""Common names: a user's own folder or program of the name of one of these packages is told apart from them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "from study.store import Store\nprint(Store.__name__)\n"


def started(folder, *words):
    """What a Python process printed that was started in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def own_package(folder, name):
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("")
    return folder / name / "__init__.py"


@pytest.mark.parametrize("name", ["models", "analysis"])
def test_a_folder_of_ones_own_beside_a_program_is_named_with_the_way_out(tmp_path, name):
    theirs = own_package(tmp_path, name)
    (tmp_path / "mine.py").write_text(PROGRAM)
    done = started(tmp_path, "mine.py")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert str(theirs) in last
    assert str(ROOT / name) in last
    assert "rename" in last


@pytest.mark.parametrize("name", ["models", "analysis"])
def test_a_program_of_that_name_is_told_so(tmp_path, name):
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    done = started(tmp_path, f"{name}.py")
    assert done.returncode == 1
    assert str(tmp_path / f"{name}.py") in done.stderr.splitlines()[-1]


def test_elsewhere_a_program_runs(tmp_path):
    (tmp_path / "mine.py").write_text(PROGRAM)
    assert started(tmp_path, "mine.py").stdout == "Store\n"


def test_the_commands_work_beside_folders_of_these_names(tmp_path):
    for name in ("models", "analysis"):
        own_package(tmp_path, name)
    words = ["run", "smoke", "latent_dim=2", "prior=standard_normal", "--dry-run"]
    done = started(tmp_path, "-m", "study", *words)
    assert done.returncode == 0, done.stderr
    assert "1 cells" in done.stdout
    console = tmp_path / "latent-study"
    console.write_text("import sys\nfrom study.cli import main\nsys.exit(main())\n")
    again = started(tmp_path, str(console), *words)
    # All but the memory that is free at the moment.
    assert re.sub(r"where .* can be had", "", again.stdout) == re.sub(r"where .* can be had", "", done.stdout)
