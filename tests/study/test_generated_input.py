"""Generated bad input: command lines, settings and study files drawn at random, each of which ends soon and in order.

A case is a command that is to fail, or a dry run, so that nothing is computed. Whatever it is: no exception leaves the
command, the exit code is one of those that are stated, an error is one sentence, and it takes less than five seconds.
"""

import random
import time

import pytest

from study.cli import main
from study.design.cell import Cell, Evaluate, Train
from study.design.families import FAMILIES

SECONDS = 60.0
"""Of processor time: other tests may run beside this one."""

CODES = {0, 2, 3, 4}

SCALARS = [
    "0", "-1", "-0.0", "1e308", "1e-320", ".nan", ".inf", "-.inf", "9" * 40, "1" * 5_000, "0x10", "1_000",
    "true", "null",
    "~", "none", "''", '"', "'", "[", "]", "[]", "[[]]", "{}", "{", "{a: 1}", "{name: vamp}",
    "{name: vamp, components: -1}",
    "{name: [vamp]}", "&a [*a]", "*a", "!!python/name:os.system", "!!int x", "!!binary x", "a: b", "- a",
    "#", "%", "@", "`",
    "２", "½", "²", "\u202e", "\x1b[2J", "\x00", "\ud800", "é", "…", "1,2", "1,", ",", ",,", "=", "a=b",
    "16x", "x16",
    "0x0", "4x7x7", "1x1x1x1x1x1x1x1x1x1x1x1", "99999999999", "vamp", "mlp", "spatial", "2020-01-01",
    "1:30", "yes", "1e3",
]  # fmt: skip

FLAGS = [
    "--dry-run", "--workers", "--shard", "--results", "--device", "--data-root", "--for", "--tensorboard",
    "--yes", "--no-report",
    "--format", "--var", "--by", "--output", "--figures", "--outcome", "--debug", "--help", "-h",
    "--version", "-x", "--", "-",
]  # fmt: skip

ARGUMENTS = [
    "", ".", "..", "/", "/dev/null", "/dev/zero", "x" * 5_000, "a\x00b", "\ud800", "a\nb", "\x1b]0;t\x07",
    "1/2", "2/1", "1/0",
    "-1/2", "１/２", "auto", "0", "-1", "1" * 5_000, "cuda0", "h7", "H99", "csv", "xml", "kl", "*", "[",
    "results", "latent_dim",
]  # fmt: skip

KEYS = [
    *(field.alias or name for name, field in Cell.model_fields.items()),
    *(f"train.{name}" for name in Train.model_fields),
    *(f"evaluate.{name}" for name in Evaluate.model_fields),
    *(f"{kind}.{option}" for kind, family in FAMILIES.items() for name in family for option in family.options(name)),
    "evaluate.densities.flow.patience", "evaluate.densities.x.y", "prior.", ".", "train.", "a.b.c.d",
    "x" * 5_000, "\x00", "é",
]  # fmt: skip

BLOCKS = ["settings", "factors", "arms", "description", "name", "Settings", "x"]


def value(draw):
    choice = draw.random()
    if choice < 0.6:
        return draw.choice(SCALARS)
    if choice < 0.8:
        return ",".join(draw.choice(SCALARS) for _ in range(draw.randint(1, 4)))
    if choice < 0.9:
        return "[" * draw.randint(1, 3_000) + draw.choice(SCALARS)
    return "".join(chr(draw.randint(1, 0x2FF)) for _ in range(draw.randint(0, 40)))


def command_line(draw):
    words = [draw.choice(["run", "status", "summary", "compare", "effects", "verdict", "report", "list", "rum", ""])]
    for _ in range(draw.randint(1, 5)):
        words.append(draw.choice(draw.choice([FLAGS, ARGUMENTS])))
    # First, so that no option before it takes it for a value.
    return [words[0], *["--dry-run"] * (words[0] == "run"), *words[1:]]


def settings(draw):
    preset = [draw.choice(["digits", "mnist"])] if draw.random() < 0.3 else ["smoke"]
    pairs = [f"{draw.choice(KEYS)}={value(draw)}" for _ in range(draw.randint(1, 3))]
    return ["run", *preset, *pairs, "--dry-run"]


def document(draw):
    lines = []
    for _ in range(draw.randint(0, 4)):
        lines.append(f"{draw.choice(BLOCKS)}:{draw.choice([' ', chr(10) + '  ', ''])}{value(draw)}")
        for _ in range(draw.randint(0, 3)):
            lines.append(f"{draw.choice(['  ', '    ', chr(9), ''])}{draw.choice(KEYS)}: {value(draw)}")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def run_case(seed, folder, capsys):
    draw = random.Random(seed)
    kind = draw.choice([command_line, settings, document])
    words = kind(draw)
    if kind is document:
        (folder / "study.yaml").write_bytes(words)
        words = ["run", str(folder / "study.yaml"), "--dry-run"]
    start = time.process_time()
    try:
        code = main(words)
    except SystemExit as end:  # an option such as --help
        code = end.code or 0
    seconds = time.process_time() - start
    captured = capsys.readouterr()
    told = f"case {seed}: {words!r:.400} gave {code} after {seconds:.1f} s: {captured.err[-400:]}"
    assert code in CODES, told
    assert seconds < SECONDS, told
    if "--debug" not in words:
        assert "Traceback" not in captured.err, told
        if code:
            assert captured.err.splitlines()[-1].startswith("error: "), told


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("typer.launch", lambda *_: 0)
    monkeypatch.delenv("LATENT_STUDY_DATA", raising=False)
    main(["run", "digits", "--dry-run"])  # imports what a case would be charged for
    for verb in ("summary", "effects", "verdict", "report", "compare", "list"):
        main([verb, "nowhere"])
    return tmp_path


def test_sixty_bad_inputs(folder, capsys):
    for seed in range(60):
        run_case(seed, folder, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_two_thousand_bad_inputs(folder, capsys, block):
    for seed in range(100 + 100 * block, 200 + 100 * block):
        run_case(seed, folder, capsys)
