"""Limits: sizes beyond them end in one sentence, before the memory or the time that they bound is spent."""

import io
import os
import re
import resource
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from study.cli import main
from study.design.limits import ARMS, DIGITS, NESTING, NODES, STUDY_FILE_BYTES
from study.design.notation import parse_document, parse_override
from study.errors import ConfigurationError

SECONDS = 60.0
"""Of the processor, on a slow machine; without the limits it would be hours, or all memory."""


@contextmanager
def quickly():
    """The block ends, and takes less than 200 MB beyond what is there."""
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def bomb(leaf, key):
    lines = [f"a0: &a0 [{leaf}, {leaf}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return f"{key}:\n" + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize("key", ["settings", "factors", "description", "arms", "unknown"])
def test_aliases_count_at_every_use(tmp_path, capsys, key):
    (tmp_path / "bomb.yaml").write_text(bomb("x", key))
    with quickly():
        assert main(["run", str(tmp_path / "bomb.yaml"), "--dry-run"]) == 2
    assert f"more than {NODES:,} values" in capsys.readouterr().err


def test_a_few_aliases_are_what_they_stand_for():
    assert parse_document("a: &x [1, 2]\nb: *x\nc: [*x, *x]\n", "f") == {"a": (1, 2), "b": (1, 2), "c": ((1, 2),) * 2}


@pytest.mark.parametrize("text", ["&x [*x]", "a: &x {b: *x}", "&x [1, [2, *x]]"])
def test_what_is_a_part_of_itself_is_refused(text):
    with pytest.raises(ConfigurationError, match="a part of"):
        parse_document(text, "f")


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ("{a: ", "}"), ("[{b: ", "}]")])
@pytest.mark.parametrize("depth", [NESTING + 1, 100_000])
def test_nesting_ends(open_, close, depth):
    with quickly(), pytest.raises(ConfigurationError, match="within each other"):
        parse_document(open_ * depth + "1" + close * depth, "f")


def test_nesting_up_to_the_limit_is_read():
    value = parse_document("[" * (NESTING - 1) + "1" + "]" * (NESTING - 1), "f")
    for _ in range(NESTING - 1):
        (value,) = value
    assert value == 1


@pytest.mark.parametrize("text", ["9" * 5_000, "-" + "1" * 200_000, "[1, " + "7" * (DIGITS + 1) + "]"])
def test_digits_end(text):
    with quickly(), pytest.raises(ConfigurationError, match="digits"):
        parse_document(text, "f")
    assert parse_document("9" * DIGITS, "f") == 10**DIGITS - 1


@pytest.mark.parametrize(
    "words",
    [
        ["--workers", "9" * 5_000],
        ["--shard", "1/" + "9" * 5_000],
        ["--shard", "9" * 5_000 + "/2"],
        ["--workers", "２"],
        ["--shard", "１/２"],
        ["--shard", "1/²"],
        ["latent_dim=" + "9" * 5_000],
        ["latent_dim='3２'"],
        ["seeds=" + "9" * 5_000],
        ["beta=" + "9" * 5_000],
        ["train.epochs=1000000001"],
        ["train.learning_rate=1e308"],
        ["beta=1e308"],
        ["prior=vamp_mixture", "evaluate.draws=99999999999"],
        ["latent_dim=1000000000"],
        ["latent_dim=30000x30000"],
        ["latent_dim=900000000", "prior=full_normal"],
        ["latent_dim=100000000", "prior=maf"],
        ["seeds=1000000000"],
        ["prior=vamp", "prior.components=200000000"],
        ["network.hidden=[1000000000,1000000000]"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_sizes_on_the_command_line_are_one_sentence(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    main(["run", "smoke", "--dry-run"])  # imports what it needs
    capsys.readouterr()
    with quickly():
        assert main(["run", "smoke", *words, "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert len(line) < 6_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["beta=0x" + "f" * 900_000, "network.hidden=[" + "8," * 20_000 + "8]", "x" * 900_000])
def test_sentences_end_and_say_what_to_do(tmp_path, capsys, word):
    with quickly():
        assert main(["run", "smoke", word, "--dry-run", "--results", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 2_100
    assert line.startswith("error: ")
    assert "[…]" in line
    assert not line.endswith("8]")


def test_negative_zero_is_zero():
    assert str(parse_override("beta=-0.0")) == str(("beta", (0.0,)))
    assert str(parse_document("{beta: [-0.0, -.0e5]}", "f")) == str({"beta": (0.0, 0.0)})


@pytest.mark.parametrize("make", ["fifo", "device", "folder", "large", "socket"])
def test_only_regular_files_of_a_bounded_size_are_read(tmp_path, capsys, make):
    path = tmp_path / "study.yaml"
    match make:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case "large":
            with path.open("wb") as file:
                file.truncate(10**12)
    with quickly():
        assert main(["run", str(path), "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert (f"{STUDY_FILE_BYTES:,} bytes" if make == "large" else "it is a") in line


def test_arms_end(tmp_path, capsys):
    arms = "".join(f"  a{n}: {{settings: {{beta: {n}}}}}\n" for n in range(ARMS + 1))
    (tmp_path / "arms.yaml").write_text(f"arms:\n{arms}")
    assert main(["run", str(tmp_path / "arms.yaml"), "--dry-run"]) == 2
    assert f"{ARMS + 1:,} arms" in capsys.readouterr().err


def grid(*sides):
    keys = ("latent_dim", "beta", "train.epochs", "train.batch_size")
    return [f"{key}={','.join(str(n) for n in range(1, side + 1))}" for key, side in zip(keys, sides, strict=False)]


ONE = ["smoke", "prior=standard_normal"]


@pytest.mark.parametrize(("sides", "words"), [((101, 100), []), ((100, 100, 100), []), ((200, 200, 200), ["--yes"])])
def test_many_cells_need_a_word(tmp_path, capsys, sides, words):
    with quickly():
        assert main(["run", *ONE, *grid(*sides), "--dry-run", "--results", str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert "cells" in error
    assert ("allowed" if words else "--yes") in error


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2)])
def test_many_cells_are_asked_about_on_a_terminal(tmp_path, monkeypatch, capsys, answer, code):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("study.cli.selection.CELLS_UNASKED", 150)
    assert main(["run", *ONE, *grid(16, 10), "--dry-run", "--results", str(tmp_path)]) == code
    assert "160 cells" in capsys.readouterr().err


def test_a_dry_run_of_a_thousand_cells_needs_no_torch(tmp_path):
    words = ["run", *ONE, *grid(10, 100), "--dry-run", "--results", str(tmp_path)]
    code = f"import sys; from study.cli import main; main({words}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    *cells, tally, torch = done.stdout.splitlines()
    assert len({line.split()[0] for line in cells}) == 1_000
    assert tally.startswith("1000 cells: 1000 missing")
    assert torch == "False"
    assert not any(tmp_path.iterdir())


def test_time_grows_as_the_cells_and_a_shard_takes_no_more(tmp_path, capsys):
    """Bounds are far from what is measured (8 and 1), and in turns: other work on a machine lengthens some calls."""
    some = ["run", *ONE, *grid(11, 10), "--dry-run", "--results", str(tmp_path)]
    all_ = ["run", *ONE, *grid(10, 100), "--dry-run", "--results", str(tmp_path)]
    main(some)
    times = {"some": [], "all": [], "shard": []}
    for kind, words in [("some", some), ("all", all_), ("shard", [*all_, "--shard", "1/100"])] * 3:
        start = time.process_time()
        assert main(words) == 0
        times[kind].append(time.process_time() - start)
    assert "10 cells: 10 missing" in capsys.readouterr().out.splitlines()[-1]
    hundred, thousand, shard = map(min, times.values())
    assert thousand < 30 * hundred, "as the square of the number it would be a hundred times"
    assert shard < 2 * thousand


def test_a_dry_run_estimates_memory_and_time(tmp_path, capsys):
    assert main(["run", "smoke", "--dry-run", "--results", str(tmp_path)]) == 0
    *cells, _ = capsys.readouterr().out.splitlines()
    assert all(re.search(r"parameters, ≥ .*B, ≥ .*s\)", line) for line in cells)
