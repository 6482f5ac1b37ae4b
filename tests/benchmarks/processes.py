"""Several processes for one training: seconds of an update with one process, and with several that share the threads.

    uv run python tests/benchmarks/processes.py [--processes 1 2] [--rounds 5] [--device cpu] [--data-root DIR]

Each training is `latent-study run` as a user types it, once of few updates and once of more, so that the difference is
of updates alone, without the first ones. Numbers of processes take turns, round by round; medians. On a CPU, threads
are divided among the processes, so that one process has all threads; with `--device cuda` each has a GPU of its own.
Beside it stands what the cell takes apart from its updates and its measurement: starting the processes, for the most
part.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from study.cli import main as command
from study.store.store import Store

NETWORKS: dict[str, list[str]] = {
    "dense, 784-400-400-64, batch 128": ["latent_dim=64", "network.hidden=[400,400]", "train.batch_size=128"],
    "dense, 784-2048-2048-64, batch 512": ["latent_dim=64", "network.hidden=[2048,2048]", "train.batch_size=512"],
    "convolutional, 8 x 8 x 64, batch 128": ["latent_dim=64x8x8", "network=conv", "train.batch_size=128"],
}
"""Settings of each training."""

COMMON = [
    "dataset=mnist_5k",
    "seeds=1",
    "train.engine=eager",
    "train.schedule=constant",
    "evaluate.draws=64",
    "evaluate.samples=100",
    "evaluate.components=[1]",
    "evaluate.covariances=[diagonal]",
    "evaluate.densities=[]",
    "evaluate.importance=[1]",
    "evaluate.two_sample_draws=0",
    "evaluate.omit=[bubbles,gain,growth,neighbours,spectrum,total_correlation]",
]


class Trained(NamedTuple):
    """What a training took.

    updates: their number.
    seconds: of them.
    beside: seconds of neither updates nor measurement.
    """

    updates: int
    seconds: float
    beside: float


def trained(settings: list[str], processes: int, updates: int, device: str, data_root: Path | None) -> Trained:
    """One training by the command.

    settings: of the cell.
    processes: that share each batch.
    updates: to make.
    device: cpu or cuda.
    data_root: of the images, as the command takes it.
    """
    with tempfile.TemporaryDirectory() as folder:
        study_file = Path(folder) / "study.yaml"
        chosen = [*COMMON, *settings, f"train.processes={processes}", f"train.updates={updates}"]
        study_file.write_text("settings:\n" + "".join(f"  {each.replace('=', ': ', 1)}\n" for each in chosen), "utf-8")
        words = [
            "run",
            str(study_file),
            "--results",
            f"{folder}/results",
            "--device",
            device,
            "--workers",
            "1",
            "--no-report",
        ]
        words += ["--data-root", str(data_root)] if data_root else []
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            code = command(words)
        if code != 0:
            raise SystemExit(f"latent-study {' '.join(words)} ended with {code}: {said.getvalue().strip()}")
        (study,) = (Path(folder) / "results").iterdir()
        store = Store(study)
        (key,) = store.stored_keys()
        manifest = store.verify(key)
        training, measurement = (float(manifest.details[f"{name}_seconds"]) for name in ("training", "measurement"))
        return Trained(updates, training, manifest.seconds - training - measurement)


def per_update(few: Trained, many: Trained) -> float:
    """Seconds of an update beyond the ``few``."""
    return (many.seconds - few.seconds) / (many.updates - few.updates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, nargs=2, default=[10, 60], metavar=("FEW", "MANY"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data-root", type=Path)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, device {given.device}, medians of {given.rounds} rounds")
    for name, settings in NETWORKS.items():
        steps: dict[int, list[float]] = {number: [] for number in given.processes}
        starts: dict[int, list[float]] = {number: [] for number in given.processes}
        for _ in range(given.rounds):
            for number in given.processes:
                few, many = (
                    trained(settings, number, updates, given.device, given.data_root) for updates in given.updates
                )
                steps[number].append(per_update(few, many))
                starts[number].append(many.beside)
        print(name)
        alone = statistics.median(steps[min(steps)])
        for number in given.processes:
            step, start = statistics.median(steps[number]), statistics.median(starts[number])
            print(
                f"  {number} process{'es' if number > 1 else ''}: {1e3 * step:7.1f} ms an update, "
                f"{alone / step:5.2f} times as fast as {min(steps)}; {start:5.1f} s beside"
            )


if __name__ == "__main__":
    main()
