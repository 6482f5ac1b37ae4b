"""`latent-study gather`: the cells of several results folders in one."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import Annotated

import typer

from study.cli.options import study_folders
from study.cli.selection import selected
from study.design.labels import titles
from study.errors import ConfigurationError, PartialResults, say_line
from study.store.gather import gather
from study.store.standing import Standing
from study.store.store import Store
from study.store.target import target_of


def command(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="RESULTS…", help="Results folders, exports, URLs, or one study's in them."),
    ],
    into: Annotated[str, typer.Option(metavar="DIR|URL", help="Results folder that gets the cells of all.")],
    study: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="Name missing cells of this study too: the words that `run` was given."),
    ] = None,
) -> None:
    """Copy finished cells of several results folders, such as those of an array job, into one; name what is missing.

    Every file is verified and nothing is computed. Two different results of one cell are refused, and both named. The
    same command again copies what has been finished since.

    - `latent-study gather results-shards/1 results-shards/2 --into results`
    - `latent-study gather results --into s3://bucket/results`: published; the other way round, fetched
    - `latent-study gather from-a from-b --into results --study 'digits latent_dim=2,8'`
    """
    by_name: dict[str, list[Store]] = defaultdict(list)
    for folder in study_folders(sources, weights=True):
        by_name[folder.resolve().name].append(Store(folder))
    planned = selected(_words(study), yes=True) if study is not None else None
    if planned:
        by_name.setdefault(planned[0].name, [])
    missing = 0
    for name, stores in by_name.items():
        target = target_of(into, name)
        gathered = gather(stores, target.store)
        target.publish()
        absent = dict(gathered.missing)
        if planned and planned[0].name == name:
            done = {*gathered.copied, *gathered.present}
            for cell in planned[1]:
                if cell.key not in done:
                    absent.setdefault(cell.key, Standing("missing", cell.config()))
        missing += len(absent)
        counts = f"{len(gathered.copied)} cells gathered, {len(gathered.present)} there before, {len(absent)} missing"
        say_line(f"{target.name}: {counts}")
        names = titles({key: standing.config for key, standing in absent.items() if standing.config})
        for key in [*names, *sorted(absent.keys() - names.keys())]:
            say_line(f"  {key}  {absent[key].condition:<10}  {names.get(key, '')}")
            for reason in absent[key].reasons:
                say_line(f"{'':16}{reason}")
    if missing:
        raise PartialResults(f"{missing} cells are missing; `latent-study run` with --results {into} computes them")


def _words(study: str) -> list[str]:
    try:
        return shlex.split(study)
    except ValueError as error:
        raise ConfigurationError(f"--study is the words that `run` was given; got {study!r}: {error}") from error
