"""`latent-study diagnose`: what is wrong with the prior of a model that was trained elsewhere, from its codes."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import folder_at
from study.design.cell import Evaluate
from study.design.settings import validated
from study.errors import ConfigurationError, say_line
from study.paths import RESULTS, checked_name, ensure_writable


def command(
    context: typer.Context,
    codes: Annotated[
        list[Path],
        typer.Argument(
            metavar="CODES…",
            help="Files with `loc` and `scale`, `log_variance` or `variance`: .npz, .safetensors, .nc, .zarr.",
        ),
    ],
    prior: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="A prior that needs no training, or a file of a mixture."),
    ] = "standard_normal",
    draws: Annotated[int, typer.Option(min=2, metavar="M", help="Number of draws on which estimates rest.")] = 2_000,
    density: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A density to fit; may be repeated; see `list densities`.")
    ] = None,
    results: Annotated[str, typer.Option(metavar="DIR", help="Folder for results.")] = str(RESULTS),
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the study; by default that of each file.")
    ] = None,
    sampler: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the best density that does not repeat training codes, with code for torch and safetensors.",
        ),
    ] = None,
) -> None:
    """Diagnose any VAE from its codes: is there a mismatch with the prior, where, and what to sample from instead.

    Arrays are found by name, never guessed. `held_out_loc` and its scale are codes of images that the model never saw;
    without them, a fifth of the codes is set aside.

    Examples:

    - `latent-study diagnose codes.npz --sampler out`
    - `latent-study diagnose epoch_10.npz epoch_90.npz --name my_vae`, and then `latent-study summary results/my_vae`
    """
    names = [path.stem for path in codes]
    if repeated := next((stem for stem in names if names.count(stem) > 1), None):
        raise ConfigurationError(
            f"expected files of different names, by which their models are known; got {repeated} twice: rename one"
        )
    for each in [*names, *([] if name is None else [name])]:
        checked_name(each)  # before minutes of work
    if len(codes) > 1 and sampler is not None:
        raise ConfigurationError("--sampler takes the density of one file of codes; diagnose one at a time")
    kept = folder_at(results, "--results")
    for folder, option in ((kept, "--results"), (sampler, "--sampler")):
        if folder is not None:
            ensure_writable(folder, option)
    settings = {"draws": draws} | ({"densities": tuple(density)} if density else {})
    validated(Evaluate, settings)
    _say_if_heard(f"diagnosing {', '.join(path.name for path in codes)}; what it computes with is loaded first")
    # Seconds of torch, xarray and others, for which help, refusals and the line above do not wait.
    from study.cli.codes import diagnose_files  # noqa: PLC0415

    words = shlex.join(["latent-study", *context.obj])
    diagnose_files(codes, prior, settings, kept, name, sampler, command=words, progress=_say_if_heard)


def _say_if_heard(line: str) -> None:
    """A line of progress: a terminal that was closed meanwhile must not cost what is measured."""
    with suppress(OSError):
        say_line(line, err=True)
