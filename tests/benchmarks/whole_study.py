"""Whole studies: the wall and processor time of each stage, its limit, and its ratio to the same work by hand.

    uv run python -m tests.benchmarks.whole_study [vectors] [map] [remedies] [--threads N] [--no-hand] [--peers]
        [--keep FOLDER]

Each study is one `latent-study run` of a file of ``studies/`` in a process of its own, from its start to its end, with
one worker, one thread unless more are asked for, and the caches that this user has (first_run.py begins with empty
ones). The studies are small forms of presets on data that come with the packages: three dimensions of a vector, the
question's map of 8 × 8 × 64, and six remedies.

Stages, and the Python threads that they start, are those of ``stages.py``; "rest" is what none of them names, and
"exit" is what Python needs to end. Limits are those of ``limits.py``. What is done by hand, too, is in ``by_hand.py``:
training, log q_N of the draws, mixtures, and the nearest neighbours of samples. ``--peers`` adds pythae's samplers on
the codes of the trained models, where a study fits densities that they have, see ``by_pythae.py``; pythae's trainer is
compared by ``training_step.py --peers``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from study.design.study import Study
from study.measurement.classifier import NUM_FEATURES
from study.measurement.encoding import aggregate_of
from study.run.data.binarisation import binarised
from study.run.experiment import load_images, new_replicate
from study.store.store import Store
from tests.benchmarks import by_hand as hand
from tests.benchmarks.by_pythae import compared, print_peers
from tests.benchmarks.first_run import processor_name
from tests.benchmarks.large_store import measured
from tests.benchmarks.limits import Rates, density_points, limits
from tests.benchmarks.stages import DENSITIES, FITS, MEASUREMENT, MIXTURES, Spent

STUDIES = {path.stem: path for path in sorted((Path(__file__).parent / "studies").glob("*.yaml"), reverse=True)}
NEIGHBOURS = f"{MEASUREMENT}: manifold"


@dataclass(frozen=True, slots=True)
class Account:
    """What a study took.

    whole: from the start of its process to its end.
    stages: of it, by name; that of an estimator ends with its file and its first quantity.
    """

    whole: Spent
    stages: dict[str, Spent]

    def under(self, name: str) -> Spent:
        """The sum of a stage and of its own stages."""
        total = Spent()
        for stage, spent in self.stages.items():
            if stage == name or stage.startswith(f"{name}: "):
                total = total + spent
        return total

    def rows(self) -> dict[str, Spent]:
        """Stages with the estimators of a file as one, the longest first, the measurement's at the end."""
        names = {": ".join(stage.split(": ")[:2]) for stage in self.stages}
        rows = {name: self.under(name) for name in names}
        return dict(sorted(rows.items(), key=lambda row: (row[0].startswith(MEASUREMENT), -row[1].cpu)))


def accounted(study: Path, folder: Path) -> Account:
    """The account of a study in a process of its own.

    study: its file.
    folder: where its results go.
    """
    file = folder / f"{study.stem}.json"
    whole = measured([str(study), str(folder), str(time.time()), str(file)], module="tests.benchmarks.account")
    record = json.loads(file.read_text("utf-8"))
    stages = {stage: Spent(**values) for stage, values in record["stages"].items()}
    stages["exit"] = Spent(whole.wall - record["wall"], whole.cpu - record["cpu"])
    return Account(Spent(whole.wall, whole.cpu), stages)


def least(study: Path, store: Store, rates: Rates) -> Counter[str]:
    """Seconds of the limits of stages, by stage.

    study: its file.
    store: its results.
    rates: of this machine.
    """
    total = Counter[str]()
    for cell in Study.load(str(study)).cells():
        data = binarised(load_images(cell, None), cell.binarisation)
        given = limits(cell, data, new_replicate(cell, data, 0), store.folder(cell.key), rates)
        read = total["data"] or given["data"]  # once for all cells
        total.update(given)
        total["data"] = read
    return total


def by_hand(study: Path, store: Store) -> Counter[str]:
    """Seconds of the same work by hand, by stage.

    study: its file.
    store: its results.
    """
    total = Counter[str]()
    for cell in Study.load(str(study)).cells():
        data = binarised(load_images(cell, None), cell.binarisation)
        images, evaluate = data.images, cell.evaluate
        vae = new_replicate(cell, data, 0)
        training = hand.training(vae.train(), images, cell.train.updates or 0, cell.train.batch_size)
        with torch.no_grad():
            codes, others = (
                aggregate_of(vae.eval(), part).component_moments() for part in (images, data.held_out_images)
            )
        loc, scale = codes.loc.flatten(1), codes.scale.flatten(1)
        z = loc + scale * torch.randn_like(scale)
        realism = store.read(cell.key)["realism"]
        sources = realism.sizes["source"] if "precision" in realism["quantity"].values else 0
        samples = min(evaluate.samples, len(data.held_out_images) // 2)
        seconds = {
            "training": training,
            DENSITIES: hand.log_aggregate(loc, scale, density_points(cell, data) // len(loc)),
            MIXTURES: hand.mixtures(z, others.loc.flatten(1), evaluate.components, evaluate.covariances),
            NEIGHBOURS: hand.neighbours(NUM_FEATURES, samples, sources),
        }
        total.update({stage: cell.seeds * each for stage, each in seconds.items()})
    return total


def print_account(account: Account, least: Mapping[str, float]) -> None:
    """Prints the stages of one study, and the limits of some."""
    print(f"  {'':36}{'wall s':>9}{'CPU s':>9}{'share':>8}{'threads':>9}{'limit s':>9}{'of limit':>10}")
    measurement = account.under(MEASUREMENT)
    for name, spent in {"whole": account.whole, **account.rows(), "measurement in all": measurement}.items():
        limit = f"{least[name]:9.2f}{least[name] / max(spent.cpu, 1e-9):10.2f}" if name in least else ""
        share = spent.cpu / account.whole.cpu
        print(f"  {name:36}{spent.wall:9.2f}{spent.cpu:9.2f}{share:8.1%}{spent.threads:9}{limit}")
    training, fits = account.under("training").cpu, account.under(FITS).cpu
    print(f"  measurement takes {measurement.cpu / training:.2f} of the processor time of training", flush=True)
    if fits:
        ratio = (measurement.cpu - fits) / (training + fits)
        print(f"  if fits of densities count as training, which they are, {ratio:.2f} of it", flush=True)


def print_comparison(account: Account, seconds: Mapping[str, float]) -> None:
    """Prints what the same work takes by hand, and how many times as long that is."""
    print(f"\n  {'':36}{'here s':>9}{'by hand s':>11}{'times':>8}")
    for name, by_hand_seconds in seconds.items():
        ours = account.under(name).cpu
        if by_hand_seconds and ours:
            shown = name.removeprefix(f"{MEASUREMENT}: ")
            print(f"  {shown:36}{ours:9.2f}{by_hand_seconds:11.2f}{by_hand_seconds / ours:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-hand", action="store_true", help="leave out the same work by hand")
    parser.add_argument("--peers", action="store_true", help="add pythae's samplers, installed by uv")
    parser.add_argument("--keep", type=Path, help="where results are left; a temporary folder by default")
    given = parser.parse_args()
    if unknown := set(given.studies) - set(STUDIES):
        parser.error(f"expected studies of {', '.join(STUDIES)}; got {', '.join(sorted(unknown))}")
    torch.set_num_threads(given.threads)
    os.environ |= {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rates = Rates.measured(folder)
        print(f"{processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {given.threads} threads")
        print(
            f"torch {torch.__version__}, Python {sys.version.split()[0]}; fp32 peak {rates.flops / 1e9:.0f} GFLOP/s, "
            f"copies {rates.copied / 1e9:.1f} GB/s, flushed writes of 1 MiB {rates.written / 1e6:.0f} MB/s"
        )
        for name in given.studies or STUDIES:
            account = accounted(STUDIES[name], folder)
            print(f"\n{name}: {STUDIES[name].relative_to(Path.cwd(), walk_up=True)}")
            store = Store(folder / name)
            print_account(account, least(STUDIES[name], store, rates))
            if not given.no_hand:
                print_comparison(account, by_hand(STUDIES[name], store))
            if given.peers and (seconds := compared(STUDIES[name], store)):
                print_peers(seconds)


if __name__ == "__main__":
    main()
