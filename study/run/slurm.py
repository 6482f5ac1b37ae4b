"""SLURM: a script that submits a study as an array job, https://slurm.schedmd.com/job_array.html.

Each task of the array computes one shard into a results folder of its own, so that no two computers write in one. A job
that depends on the array gathers them when all tasks have ended, those that failed included, and names what is missing.
Submitting the same script again resumes: each shard finds its own cells.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from study.design.plan import Plan
from study.errors import ConfigurationError
from study.paths import RESULTS, is_url

MARGIN = 3.0
"""Times the expected time and memory that are asked for: a task that runs out of either loses what it did last."""

LEAST_SECONDS = 600.0
"""Asked for beside, for imports, data and the classifier."""

SCRIPT = """\
#!/usr/bin/env bash
# {title}: {cells} cells in {shards} shards, each of {expected} with {workers} {processes}.
# Submit with: bash FILE    (where latent-study is on the PATH; the script may be edited first, and submitted again)
set -euo pipefail

array=$(sbatch --parsable <<'ARRAY'
#!/usr/bin/env bash
#SBATCH --job-name={name}
#SBATCH --array=1-{shards}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
#SBATCH --mem={memory}M
{options}set -euo pipefail
export OMP_NUM_THREADS=1
srun {run} --shard "$SLURM_ARRAY_TASK_ID/{shards}" --results {shard_results}/"$SLURM_ARRAY_TASK_ID"
ARRAY
)

sbatch --parsable --dependency="afterany:${{array%%;*}}" <<'GATHER'
#!/usr/bin/env bash
#SBATCH --job-name={name}-gather
#SBATCH --ntasks=1
#SBATCH --mem=2000M
{gather_options}set -euo pipefail
srun {gather}
GATHER
"""


@dataclass(frozen=True, slots=True)
class ArrayJob:
    """A study as an array job.

    words: what `run` is given: a preset or file, and settings.
    name: of the study.
    plans: of each shard.
    results: folder or URL that gets all cells.
    device: ``cpu`` or ``cuda``.
    options: for `sbatch`, each one word such as ``--partition=short``.
    """

    words: Sequence[str]
    name: str
    plans: Sequence[Plan]
    results: str
    device: str
    options: Sequence[str] = ()

    def script(self) -> str:
        """The script; raises ConfigurationError where a word has characters that no line of it can hold, and where
        neither the cells nor the options say how long a task may take.
        """
        for word in [*self.words, *self.options, self.results]:
            if not word.isprintable():
                raise ConfigurationError(f"{word!r} has characters that cannot be shown; a script needs words without")
        for option in self.options:
            if not option.startswith("--") or any(map(str.isspace, option)):
                raise ConfigurationError(f"--sbatch is one option such as --partition=short; got {option!r}")
        shards, folder = len(self.plans), f"{RESULTS if is_url(self.results) else self.results}-shards"
        workers = max(plan.workers for plan in self.plans)
        expected, given = max(plan.makespan for plan in self.plans), any(map(_is_limit, self.options))
        unknown = sum(len(plan.cells) - len(plan.seconds) for plan in self.plans)
        if unknown and not given:
            raise ConfigurationError(
                f"of {unknown} cells the time is not known before their images are read; say how long a task may take, "
                "as with --sbatch=--time=1-00:00:00"
            )
        run = ["latent-study", "run", *self.words, "--yes", "--no-report", "--workers", str(workers)]
        run += ["--device", self.device]
        parts = [f"{folder}/{part}" for part in range(1, shards + 1)]
        gather = ["latent-study", "gather", *parts, "--into", self.results, "--study", shlex.join(self.words)]
        cells = sum(len(plan.cells) for plan in self.plans)
        gpu = ["--gres=gpu:1"] if self.device == "cuda" else []
        return SCRIPT.format(
            title=self.name,
            name="".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.name)[:60],
            cells=cells,
            shards=shards,
            workers=workers,
            cores=max(workers, *(plan.cores for plan in self.plans)),
            processes="process" if workers == 1 else "processes",
            expected="a time that is not known" if unknown else f"about {_hours(expected)}",
            memory=math.ceil(MARGIN * max(plan.memory for plan in self.plans) / 1e6),
            options=_lines([*([] if given else [_limit(MARGIN * expected + LEAST_SECONDS)]), *gpu, *self.options]),
            run=shlex.join(run),
            shard_results=shlex.quote(folder),
            gather=shlex.join(gather),
            gather_options=_lines([*([] if given else [_limit(LEAST_SECONDS + cells)]), *self.options]),
        )


def _is_limit(option: str) -> bool:
    return option.startswith("--time=")


def _limit(seconds: float) -> str:
    return f"--time={_hours(seconds)}"


def _lines(options: Sequence[str]) -> str:
    return "".join(f"#SBATCH {option}\n" for option in options)


def _hours(seconds: float) -> str:
    """Days, hours, minutes and seconds as SLURM reads them, ``1-02:03:00``; whole minutes, rounded up."""
    minutes = math.ceil(seconds / 60)
    days, minutes = divmod(minutes, 24 * 60)
    return f"{days}-{minutes // 60:02}:{minutes % 60:02}:00"
