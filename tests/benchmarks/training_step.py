"""Training throughput side by side in one run: our step against Pyro's tutorial loop, plain PyTorch and peers.

    uv run python -m tests.benchmarks.training_step [--quick] [--peers] [--device cuda]

Each contender trains the same network on the same synthetic binary images (28 × 28, 6,000 of them; 8 × 8 for the tiny
network, which shows the fixed cost of an update), Adam, one process.
Contenders take turns for several rounds, so that a noisy machine is noisy for all; the table shows medians and their
ratio to the plain loop. "Layers alone" are the matrix products (convolutions) of an update as torch's layers, with
nothing around them, by the library that our step calls, too; a compiled update writes some in other forms, where those
are faster. "At the peak" are their multiply-adds at the rate of one large product of matrices in fp32. This process
keeps the memory that it frees, as the workers of a study do; peers in processes of their own do not.
Builds (tracing, compiling) are shown apart and left out of the rates.
``--peers`` adds pythae and NumPyro's ``fori_loop``, each in an environment of its own made by uv, on the processor.

On a GPU the eight seeds are also trained one by one, each in a program of its own, and the operations of an epoch that
make the host wait for the device are counted, of which there should be one: the metrics are read at its end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from analysis.float32 import full_float32
from models.vae import VAE
from study.design.cell import Cell
from study.run.building import new_objective, new_vae
from study.run.heap import keep_freed_memory
from study.run.training.batches import Batches
from study.run.training.choice import build
from study.run.training.state import State
from study.run.training.step import noise_shapes
from tests.benchmarks.products import Run, arithmetic, clock, products

HERE = Path(__file__).parent
NUM_IMAGES = 6_000
NETWORKS: dict[str, dict[str, object]] = {
    "mlp 784-400-400-32": {"name": "mlp", "hidden": [400, 400]},
    "conv": {"name": "conv"},
    "tiny 64-8-2": {"name": "mlp", "hidden": [8]},
}
LATENT, SIDE, BATCHES = {"tiny 64-8-2": 2}, {"tiny 64-8-2": 8}, {"tiny 64-8-2": (16,)}
LAYOUTS = {"": torch.contiguous_format, ", channels last": torch.channels_last}
TOGETHER = {"cpu": 4, "cuda": 8}
"""Seeds that share a program, by device."""


def images(side: int, device: str = "cpu") -> Tensor:
    """Binary images ``(N, 1, side, side)`` with structure, so that the numbers stay finite."""
    generator = torch.Generator().manual_seed(0)
    prototypes = torch.rand(50, 1, side, side, generator=generator)
    return (prototypes[torch.randint(50, (NUM_IMAGES,), generator=generator)] > 0.5).float().to(device)


def new_vaes(network: str, count: int = 1, device: str = "cpu") -> list[VAE]:
    """Replicates of the cell under test."""
    cell = Cell.from_config({"latent_dim": LATENT.get(network, 32), "network": NETWORKS[network]})
    side = SIDE.get(network, 28)
    return [new_vae(cell, (1, side, side)).to(device) for _ in range(count)]


def ours(network: str, batch: int, data: Tensor, *, engine: str, bf16: bool = False, seeds: int = 1) -> Run:
    """The project's own loop: refill the batch, step the engine."""
    vaes = new_vaes(network, seeds, data.device.type)
    objective = new_objective(Cell())
    batches = Batches(data, range(seeds), batch, noise_shapes(vaes[0], objective, data[:batch]))
    batches.start_epoch(0)
    with full_float32(data.device):
        stepper = build(engine, vaes, objective, State.initial(vaes), batches.batch, bf16=bf16)  # type: ignore[arg-type]

    def run(updates: int) -> float:
        with full_float32(data.device):
            start = clock(data)
            for update in range(updates):
                batches.fill(update % batches.updates_per_epoch, 1.0, 1e-3)
                metrics = stepper.step()
            float(metrics[0, 0])
            return clock(data) - start

    return run


def plain(network: str, batch: int, data: Tensor) -> Run:
    """What one writes without a framework: a preloaded tensor, autograd, ``torch.optim.Adam``."""
    vae = new_vaes(network, device=data.device.type)[0]
    encoder, decoder = vae.posterior.encoder, vae.likelihood.decoder
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

    def run(updates: int) -> float:
        start = clock(data)
        for _ in range(updates):
            x = data[torch.randint(len(data), (batch,), device=data.device)]
            loc, log_variance = encoder(x).unbind(1)
            z = loc + (0.5 * log_variance).exp() * torch.randn_like(loc)
            distortion = F.binary_cross_entropy_with_logits(decoder(z).squeeze(1), x, reduction="sum")
            loss = distortion - 0.5 * (1 + log_variance - loc.square() - log_variance.exp()).sum()
            optimiser.zero_grad()
            (loss / batch).backward()
            optimiser.step()
            loss.item()
        return clock(data) - start

    return run


def tutorial(network: str, batch: int, data: Tensor) -> Run:
    """Pyro's VAE tutorial: ``Trace_ELBO``, a DataLoader, validation on, ``svi.step``."""
    vae = new_vaes(network, device=data.device.type)[0]
    pyro.clear_param_store()
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-3}), Trace_ELBO())
    loader = DataLoader(TensorDataset(data), batch_size=batch, shuffle=True, drop_last=True)

    def run(updates: int) -> float:
        start, done = clock(data), 0
        while True:
            for (x,) in loader:
                svi.step(x)
                done += 1
                if done == updates:
                    return clock(data) - start

    return run


def in_turn(runs: list[Run]) -> Run:
    """Each of ``runs`` after the other, as those who train one seed at a time do."""
    return lambda updates: sum(run(updates) for run in runs)


def waits(run: Run, updates: int) -> int:
    """Operations of so many updates that make the host wait for the GPU, as torch counts them."""
    run(updates)  # what is built and captured waits
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run(updates)
        finally:
            torch.cuda.set_sync_debug_mode(before)
    texts = [str(warning.message) for warning in seen]
    return sum("synchronizing" in text and "prototype" not in text for text in texts)  # torch warns of the mode itself


def in_own_environment(script: str, packages: list[str], *arguments: str) -> str:
    """What a script of this folder prints in an environment of its own, made by uv.

    script: its file.
    packages: that it needs.
    arguments: of its command.

    Raises RuntimeError, with the last line of its errors, where it fails.
    """
    command = ["uv", "run", "--no-project", "--python", sys.executable]
    command += [flag for package in packages for flag in ("--with", package)]
    done = subprocess.run(
        [*command, "python", str(HERE / script), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def peer(script: str, packages: list[str], batch: int) -> Run:
    """A peer in an environment of its own, which prints the seconds of its updates."""
    return lambda updates: float(in_own_environment(script, packages, str(batch), str(updates)).split()[-1])


def measure(contenders: dict[str, Run], updates: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds per update, and seconds of the first call, by contender; they take turns."""
    first: dict[str, float] = {}
    for name, run in list(contenders.items()):
        start = time.perf_counter()
        try:
            run(2)
        except RuntimeError as error:
            print(f"    {name}: left out ({error})")
            del contenders[name]
            continue
        first[name] = time.perf_counter() - start
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            taken[name].append(run(updates) / updates)
    return {name: (statistics.median(values), first[name]) for name, values in taken.items()}


def contenders(network: str, batch: int, data: Tensor, *, peers: bool) -> dict[str, Run]:
    """Whoever trains ``network`` on the device of ``data``, by name."""
    device = data.device.type
    seeds = TOGETHER[device]
    found: dict[str, Run] = {
        "plain PyTorch loop": plain(network, batch, data),
        "tutorial Pyro": tutorial(network, batch, data),
        "ours, eager": ours(network, batch, data, engine="eager"),
        "ours, traced": ours(network, batch, data, engine="traced"),
        "ours, compiled": ours(network, batch, data, engine="compiled"),
        "ours, compiled, bf16": ours(network, batch, data, engine="compiled", bf16=True),
        f"ours, compiled, {seeds} seeds together": ours(network, batch, data, engine="compiled", seeds=seeds),
    }
    if data.is_cuda:
        alone = [ours(network, batch, data, engine="compiled") for _ in range(seeds)]
        found[f"ours, compiled, {seeds} seeds one by one"] = in_turn(alone)
    for name, layout in LAYOUTS.items() if network == "conv" else [("", torch.contiguous_format)]:
        found[f"layers alone{name}"] = products(new_vaes(network, device=device)[0], data[:batch], layout)
    found["multiply-adds at the peak"] = arithmetic(new_vaes(network, device=device)[0], data[:batch])
    if peers and network.startswith("mlp"):
        found["NumPyro fori_loop"] = peer("numpyro_loop.py", ["numpyro", "jax"], batch)
        found["pythae"] = peer("pythae_loop.py", ["pythae", "setuptools<81"], batch)
    return found


def main() -> None:
    """Prints one table per network and batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and updates")
    parser.add_argument("--peers", action="store_true", help="add pythae and NumPyro, installed by uv")
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    parser.add_argument("--device", choices=list(TOGETHER), default="cpu")
    arguments = parser.parse_args()
    keep_freed_memory()
    updates, rounds = (20, 3) if arguments.quick else (60, 5)
    place = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {place}, python {sys.version.split()[0]}")
    for network in arguments.network or list(NETWORKS):
        data = images(SIDE.get(network, 28), arguments.device)
        for batch in BATCHES.get(network, (128, 512)):
            runs = contenders(network, batch, data, peers=arguments.peers)
            results = measure(runs, updates, rounds)
            base = results["plain PyTorch loop"][0]
            print(f"\n{network}, batch {batch}")
            print(f"{'':36}{'µs/update':>12}{'images/s':>12}{'× plain':>9}{'first call s':>14}")
            for name, (seconds, first) in results.items():
                seeds = TOGETHER[arguments.device] if " seeds " in name else 1
                rate = seeds * batch / seconds
                print(f"{name:36}{seconds * 1e6:12.0f}{rate:12.0f}{seeds * base / seconds:9.2f}{first:14.1f}")
            if data.is_cuda:
                epoch = NUM_IMAGES // batch
                print(f"operations of an epoch that wait for the GPU: {waits(runs['ours, compiled'], epoch)}")


if __name__ == "__main__":
    main()
