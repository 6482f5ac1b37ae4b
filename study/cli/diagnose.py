"""`latent-study diagnose`: what is wrong with the prior of a model that was trained elsewhere, from its codes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import folder_at
from study.diagnosis.answer import checked_name
from study.diagnosis.codes import from_file
from study.diagnosis.diagnose import diagnose_codes, evaluation
from study.errors import ConfigurationError, say, say_line
from study.paths import RESULTS, ensure_writable
from study.run.execution import Stop


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
    evaluate = evaluation(**settings)
    for path in codes:
        own, held_out, said = from_file(path)
        with _stopping_between_steps() as heartbeat:
            answer = diagnose_codes(
                own,
                held_out,
                said=said,
                prior=prior,
                evaluate=evaluate,
                name=path.stem,
                say=_say_if_heard,
                heartbeat=heartbeat,
            )
            folder = answer.save(kept, name, command=shlex.join(["latent-study", *context.obj]))
            page = answer.page(folder / f"diagnosis-{answer.name}.html")
            say(str(answer))
            say(f"\nresults: {folder}; `latent-study summary {folder}` has every number")
            say(f"page: {page}")
            if sampler is not None and answer.details["interrupted"]:
                say("sampler: none, since the diagnosis was interrupted")
        if sampler is not None:
            say(f"sampler: {answer.sampler(folder=sampler)}, from {answer.best}")


def _say_if_heard(line: str) -> None:
    """A line of progress: a terminal that was closed meanwhile must not cost what is measured."""
    with suppress(OSError):
        say_line(line, err=True)


@contextmanager
def _stopping_between_steps() -> Iterator[Callable[[], None]]:
    """The heartbeat that ends a measurement after a signal; what is measured by then is still stored.

    A second signal does not wait. The command ends with the block, with 128 + the number of the first.
    """
    with Stop(patience=1).listening() as stop:

        def heartbeat() -> None:
            if stop.signum is not None:
                raise KeyboardInterrupt

        try:
            yield heartbeat
        except KeyboardInterrupt:
            if stop.signum is None:
                raise
    if stop.signum is not None:
        raise typer.Exit(128 + stop.signum)
