"""SLURM: the printed script runs under bash, with stand-ins for sbatch and srun, and computes and gathers the study."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from study.cli import main
from study.design.cell import Cell
from study.design.cost import Cost
from study.design.plan import Plan
from study.errors import ConfigurationError
from study.run.slurm import ArrayJob
from study.store import Store

SBATCH = """#!/usr/bin/env bash
# Runs each task of an array now, one after the other; keeps what it was given.
set -u
number=$(cat "$SHIM/number" 2>/dev/null || echo 0); number=$((number + 1)); echo $number > "$SHIM/number"
cat > "$SHIM/job-$number"
printf '%s\\n' "$@" > "$SHIM/words-$number"
last=$(sed -n 's/^#SBATCH --array=1-//p' "$SHIM/job-$number")
for task in $(seq 1 "${last:-1}"); do
    SLURM_ARRAY_TASK_ID=$task bash "$SHIM/job-$number" >> "$SHIM/output-$number" 2>&1
    echo $? >> "$SHIM/codes-$number"
done
echo "$number;cluster"
"""

SRUN = '#!/usr/bin/env bash\nexec "$@"\n'


@pytest.fixture
def shim(tmp_path):
    """A folder with the stand-ins, and the environment in which they are found."""
    folder = tmp_path / "shim"
    folder.mkdir()
    program = f'#!/usr/bin/env bash\nexec {shlex.quote(sys.executable)} -m study "$@"\n'
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("latent-study", program)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def submit(script, shim, cwd, **more):
    root = Path(__file__).parents[3]
    env = os.environ | {"PATH": f"{shim}{os.pathsep}{os.environ['PATH']}", "SHIM": str(shim), "PYTHONPATH": str(root)}
    return subprocess.run(
        ["bash", "-c", script], env=env | more, cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )


def job(words=("smoke",), results="results", options=(), device="cpu", shards=2):
    cells = [Cell.from_config({"latent_dim": dim}) for dim in (2, 4)]
    costs = {cell.key: Cost(1, 1e9, 3_000.0) for cell in cells}
    plans = [Plan([cell], costs, 2) for cell in cells][:shards]
    return ArrayJob(list(words), "some study", plans, str(Path(results)), device, options)


@pytest.mark.slow
def test_the_script_computes_the_shards_and_gathers_them(tmp_path, shim, capsys):
    results = "my results; touch pwned"
    words = ["script", "slurm", "smoke", "prior=standard_normal", "--shards", "2", "--results", results]
    assert main(words) == 0
    done = submit(capsys.readouterr().out, shim, tmp_path)
    assert done.returncode == 0, done.stderr
    outputs = "\n".join(path.read_text() for path in sorted(shim.glob("output-*")))
    assert {path.name: path.read_text().split() for path in shim.glob("codes-*")} == {
        "codes-1": ["0", "0"], "codes-2": ["0"]
    }, outputs  # fmt: skip
    assert "--dependency=afterany:1" in (shim / "words-2").read_text()
    store = Store(tmp_path / results / "smoke")
    assert [store.condition(key) for key in store.known_keys()] == ["done", "done"]
    assert not (tmp_path / "pwned").exists()
    parts = [Store(tmp_path / f"{results}-shards" / part / "smoke").known_keys() for part in ("1", "2")]
    assert sorted(map(len, parts)) == [1, 1]


HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "a b",
    "'; touch pwned; '",
    '"$HOME"',
    "ARRAY",
    "GATHER",
    "\\",
    "{x}",
    "%s",
    "-x",
]


@pytest.mark.parametrize("word", HOSTILE)
def test_words_reach_the_command_as_they_are(tmp_path, shim, word):
    (shim / "latent-study").write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@" "---" >> "$SHIM/said"\n')
    done = submit(job((word, f"beta={word}"), f"./{word}").script(), shim, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second, gathered, rest = (shim / "said").read_text().split("---\n")
    assert rest == ""
    folder = str(Path(f"./{word}"))
    for part, said in ((1, first), (2, second)):
        lines = said.splitlines()
        assert lines[:3] == ["run", word, f"beta={word}"]
        assert lines[-4:] == ["--shard", f"{part}/2", "--results", f"{folder}-shards/{part}"]
    into = gathered.splitlines()
    assert into[:3] == ["gather", f"{folder}-shards/1", f"{folder}-shards/2"]
    assert shlex.split(into[into.index("--study") + 1]) == [word, f"beta={word}"]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("word", ["a\nARRAY\ntouch pwned", "a\rb", "\x00", "\x1b[2J"])
def test_words_that_a_line_cannot_hold_are_refused(word):
    for each in (job((word,)), job(results=word), job(options=(f"--x={word}",))):
        with pytest.raises(ConfigurationError):
            each.script()


@pytest.mark.parametrize("option", ["-p short", "--wrap=a b", "short"])
def test_an_option_is_one_word_with_two_dashes(option):
    with pytest.raises(ConfigurationError, match="--sbatch is one option"):
        job(options=(option,)).script()


def test_time_memory_and_devices_are_asked_for():
    script = job(options=("--partition=short",), device="cuda").script()
    assert "#SBATCH --time=0-02:40:00" in script  # 3 · 3,000 s + 600 s
    assert "#SBATCH --mem=3000M" in script
    assert "#SBATCH --cpus-per-task=2" in script
    assert script.count("#SBATCH --partition=short") == 2
    assert script.count("--gres=gpu:1") == 1
    assert re.search(r"^#SBATCH --job-name=some-study$", script, re.MULTILINE)


def test_more_shards_than_cells_are_refused(capsys):
    assert main(["script", "slurm", "smoke", "--shards", "5"]) == 2
    assert "4 cells" in capsys.readouterr().err
    assert main(["script", "pbs", "smoke"]) == 2


def test_where_the_time_is_not_known_it_is_asked_for_and_nothing_is_made_up():
    """Images of a folder are not counted before they are read."""
    cells = [Cell.from_config({"latent_dim": dim}) for dim in (2, 4)]
    plans = [Plan([cell], {cell.key: Cost(1, 1e9, None)}, 1) for cell in cells]
    with pytest.raises(ConfigurationError, match=r"of 2 cells the time is not known .* --sbatch=--time="):
        ArrayJob(["smoke"], "some study", plans, "results", "cpu").script()
    script = ArrayJob(["smoke"], "some study", plans, "results", "cpu", ("--time=1-00:00:00",)).script()
    assert re.findall("--time=(.*)", script) == ["1-00:00:00", "1-00:00:00"]
    assert "each of a time that is not known" in script
