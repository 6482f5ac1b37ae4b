"""Environments: what cannot be written, encoded or reached ends in one sentence, or is done without."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numba
import pytest
import torch

import study.run.launch
from analysis import compilation
from study import paths
from study.answers.effects import Effects
from study.cli import main
from study.errors import TrainingFailed
from study.files import replacing
from study.store import Store
from study.store.manifest import _revision
from study.store.standing import Standing

ROOT = Path(__file__).parents[2]

LONG = "x" * 5_000


def shell(*words, text=True, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, "-m", options.pop("module", "study"), *words]
    return subprocess.run(command, text=text, timeout=120, check=False, env=environment, **options)


@pytest.mark.parametrize("verb", ["status", "summary", "compare", "verdict", "effects", "report"])
@pytest.mark.parametrize("name", [LONG, f"results/{LONG}", "nul\0character", "/dev/null/results"])
def test_names_that_no_folder_can_have(tmp_path, monkeypatch, capsys, verb, name):
    monkeypatch.chdir(tmp_path)
    assert main([verb, name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


@pytest.mark.parametrize("option", ["--results", "--data-root", "--tensorboard"])
def test_run_into_a_name_that_no_folder_can_have(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    code = main(["run", "smoke", "dataset=mnist", option, LONG, "--data-root", str(tmp_path / "none")])
    assert code in (3, 4)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


@pytest.mark.parametrize("output", ["/", ".", "", ".."])
def test_the_page_is_a_file(tmp_path, monkeypatch, capsys, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/digits/cells").mkdir(parents=True)
    assert main(["report", "--output", output]) == 2
    assert "--output" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize("module", ["study", "study.cli"])
def test_both_modules_are_the_command(module):
    done = shell("run", "prior=vmap", module=module, capture_output=True)
    assert done.returncode == 2
    assert "did you mean 'vamp'" in done.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "cp437"])
def test_characters_that_an_encoding_lacks_are_escaped(encoding, tmp_path):
    done = shell(
        "list", "settings", env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, capture_output=True, text=False
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u2265" in done.stdout or "≥".encode(encoding) in done.stdout
    done = shell("run", "--shard", "3", env={"PYTHONIOENCODING": encoding}, capture_output=True, text=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [["list", "priors"], ["list", "presets"], ["--help"], ["--version"]])
def test_a_full_disk_under_the_output_is_one_sentence(words):
    with open("/dev/full", "wb") as full:
        done = shell(*words, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "No space left" in line


@pytest.mark.parametrize("words", [["list"], ["list", "presets"], ["--help"]])
def test_a_closed_pipe_ends_a_command_without_a_word(words):
    read, write = os.pipe()
    os.close(read)
    try:
        done = shell(*words, stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert done.returncode in (0, 141)
    assert done.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere_and_files_do_not_get_their_numbers(tmp_path, closed):
    program = (
        "import os; from study.cli import main; code = main(['--version']); "
        "open('out', 'w').write(f'{code} {os.open(os.devnull, 0) > 2}')"
    )
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=120)
    assert (tmp_path / "out").read_text() == "0 True"


@pytest.mark.parametrize("kind", ["device", "pipe", "link to a device", "in /dev"])
def test_what_is_no_regular_file_is_not_replaced_by_one(tmp_path, kind):
    place = Path("/dev/latent-study") if kind == "in /dev" else tmp_path / "place"
    match kind:
        case "device":
            try:
                os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("only root can make devices")
        case "pipe":
            os.mkfifo(place)
        case "link to a device":
            place.symlink_to(os.devnull)
    before = sorted(place.parent.iterdir())
    mode = place.lstat().st_mode if os.path.lexists(place) else None
    with pytest.raises(OSError, match="no regular file"), replacing(place) as aside:
        aside.write_text("page")
    assert sorted(place.parent.iterdir()) == before
    assert mode == (place.lstat().st_mode if os.path.lexists(place) else None)


@pytest.fixture
def numba_state(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is restored
    return monkeypatch


def test_a_read_only_installation_compiles_into_the_cache(tmp_path, numba_state):
    (tmp_path / "installed").write_text("a file, in which no folder can be made")
    numba_state.setenv("LATENT_STUDY_CACHE", str(tmp_path / "cache"))
    compilation.keep_compiled(tmp_path / "installed")
    assert numba.config.CACHE_DIR == os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "cache/numba")


def test_without_a_cache_either_it_compiles_into_a_temporary_folder(tmp_path, numba_state):
    (tmp_path / "installed").write_text("")
    numba_state.setenv("LATENT_STUDY_CACHE", str(tmp_path / "installed" / "cache"))
    compilation.keep_compiled(tmp_path / "installed")
    assert Path(numba.config.CACHE_DIR).is_dir()


def test_a_writable_installation_and_a_chosen_folder_stay(tmp_path, numba_state):
    compilation.keep_compiled(tmp_path)
    assert numba.config.CACHE_DIR == ""
    numba_state.setattr(numba.config, "CACHE_DIR", "mine")
    compilation.keep_compiled(tmp_path / "file" / "\0")
    assert numba.config.CACHE_DIR == "mine"


def test_an_unwritable_cache_is_said_once_and_done_without(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path / "file" / "cache"))
    first, second = paths.usable_cache(), paths.usable_cache()
    assert first == second
    assert first.is_dir()
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file" / "cache") in line
    assert "LATENT_STUDY_CACHE" in line


def test_a_run_of_stored_cells_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study.run.launch, "standings", lambda _, keys: {key: Standing("done", {}) for key in keys})

    def refuse(folder):
        raise AssertionError(f"{folder} is tried")

    monkeypatch.setattr(study.run.launch, "ensure_writable", refuse)
    main(["run", "smoke", "--no-report", "--results", str(tmp_path / "results"), "--workers", "1"])
    captured = capsys.readouterr()
    assert captured.err.count("already stored") == 4
    assert list(tmp_path.iterdir()) == []


def test_effects_are_printed_before_they_are_stored(tmp_path, monkeypatch, capsys):
    import pandas as pd

    class Stored:
        left_out = MappingProxyType({})

        def __len__(self):
            return 1

        def __iter__(self):
            return iter([SimpleNamespace(stored=[SimpleNamespace(store=Store(tmp_path / "digits"))])])

        def by(self, name):
            return {"digits": self}

        def levels(self, name):
            return ["digits"]

    def full(*_):
        raise OSError(28, "No space left on device", "effects")

    monkeypatch.setattr("study.answers.results.Results.load", lambda folders: Stored())
    table = pd.DataFrame({"slope": [0.5]})
    monkeypatch.setattr("study.cli.effects.effects", lambda *_: Effects(table, table))
    monkeypatch.setattr("study.cli.effects.store_effects", full)
    (tmp_path / "digits/cells").mkdir(parents=True)
    assert main(["effects", str(tmp_path)]) == 4
    out, err = capsys.readouterr()
    assert "slope" in out
    assert "No space left" in err


ALLOCATOR = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to …"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(ALLOCATOR),
        RuntimeError("NetCDF: Memory allocation (malloc) failure"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.73 GiB"),
        OSError(12, "Cannot allocate memory"),
        PermissionError(13, "no"),
    ],
)
def test_errors_of_the_computer_are_one_sentence(monkeypatch, capsys, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("study.design.study.Study.load", fail)
    assert main(["run", "smoke"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    if not isinstance(error, PermissionError):
        assert "lower train.batch_size" in line


def test_other_errors_of_a_runtime_stay_what_they_are(monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("study.design.study.Study.load", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["run", "smoke"])


@pytest.mark.parametrize(
    ("error", "words", "not_words"),
    [
        (TrainingFailed(0, "rate"), ["before the first update", "prior's density"], ["fp32", "learning_rate"]),
        (TrainingFailed(0, "distortion"), ["before the first update", "likelihood's"], ["fp32", "learning_rate"]),
        (TrainingFailed(0, "rate", "bf16"), ["before the first update", "train.precision=fp32"], ["learning_rate"]),
        (TrainingFailed(7, "rate"), ["step 7", "lower train.learning_rate"], ["fp32"]),
        (TrainingFailed(7, "rate", "bf16"), ["step 7", "train.precision=fp32"], []),
    ],
)
def test_what_is_not_finite_says_what_can_help(error, words, not_words):
    assert all(word in str(error) for word in words)
    assert not any(word in str(error) for word in not_words)
    assert str(type(error)(*error.args)) == str(error)


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_the_revision_is_of_this_source_and_of_no_other(tmp_path, monkeypatch):
    git(tmp_path, "init")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "theirs")
    package = tmp_path / ".venv" / "study" / "store"
    package.mkdir(parents=True)
    (package / "manifest.py").write_text("")
    monkeypatch.setattr("study.store.manifest.__file__", str(package / "manifest.py"))
    assert _revision() == {}
    git(tmp_path, "add", "-f", str(package / "manifest.py"))
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "ours")
    assert set(_revision()) == {"revision"}


def test_a_prior_without_its_base_is_a_sentence(monkeypatch, capsys):
    from torch import nn

    from models.priors.standard_normal import StandardNormal

    def broken(self, context):
        self.layer = nn.Linear(2, 2)  # before super().__init__()

    monkeypatch.setattr(StandardNormal, "__init__", broken)
    assert main(["run", "smoke", "prior=standard_normal", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "super().__init__(context)" in line
    assert "standard_normal" in line


def test_a_backend_of_matplotlib_that_there_is_not_ends_no_command():
    """Figures are written to files: what would show them does not matter."""
    program = "from study.cli import main; main(['list', 'priors']); import matplotlib; print(matplotlib.get_backend())"
    environment = os.environ | {"MPLBACKEND": "nope", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1].lower() == "agg"
