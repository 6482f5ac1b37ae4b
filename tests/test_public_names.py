"""The names that users meet first, `from study import Study, run` and the like."""

import ast
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "analysis", "study")


def listed(package):
    """Names of a package's stub, with the modules that they come from."""
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text("utf-8"))
    return {alias.name: node.module for node in stub.body for alias in node.names}


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_is_what_its_module_defines(package):
    names = listed(package)
    module = import_module(package)
    assert set(module.__all__) == set(names)
    for name, source in names.items():
        defined = getattr(import_module(f"{package}.{source}"), name)
        public = getattr(module, name)
        assert public is defined or public is sys.modules.get(f"{package}.{name}")
        assert callable(public)


def test_an_unknown_name_is_an_ordinary_error():
    for package in PACKAGES:
        with pytest.raises(AttributeError, match="nonsense"):
            import_module(package).nonsense  # noqa: B018


def test_the_packages_alone_import_no_torch():
    code = "import sys, models, analysis, study; from study import Study, Store; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
    )
    assert done.stdout.strip() == "False"


PROGRAM = """
from study import Study, run
study = Study.load("smoke").override(["latent_dim=2", "prior=standard_normal", "train.epochs=1"])
print(*run(study, results="results", workers=1, device="cpu", progress=False).load())
"""


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [False, True])
def test_a_program_runs_a_study(tmp_path, guarded):
    text = PROGRAM if not guarded else "if __name__ == '__main__':" + PROGRAM.replace("\n", "\n    ").rstrip() + "\n"
    (tmp_path / "program.py").write_text(text)
    command = [sys.executable, "program.py"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "standard_normal", "")


@pytest.mark.slow
def test_a_thread_runs_a_study(tmp_path):
    from study import Study, run

    study = Study.load("smoke").override(["latent_dim=2", "prior=standard_normal", "train.epochs=1"])
    keys = []
    thread = threading.Thread(
        target=lambda: keys.extend(run(study, results=tmp_path, workers=1, device="cpu", progress=False).known_keys())
    )
    thread.start()
    thread.join()
    assert keys == [cell.key for cell in study.cells()]


def test_a_wing_that_can_be_called_is_a_package_all_the_same():
    import study.run.session as session
    from study import run

    assert run is sys.modules["study.run"]
    assert run.session is session
