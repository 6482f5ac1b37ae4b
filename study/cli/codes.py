"""Codes: files of them, diagnosed, stored and told of one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from study.diagnosis.codes import from_file
from study.diagnosis.diagnose import diagnose_codes, evaluation
from study.errors import say
from study.run.execution import Stop


def diagnose_files(
    codes: Sequence[Path],
    prior: str,
    settings: Mapping[str, Any],
    results: Path,
    name: str | None,
    sampler: Path | None,
    *,
    command: str,
    progress: Callable[[str], None],
) -> None:
    """Prints the answer of each file, and writes its results, its page and, where it is asked for, its sampler.

    codes: the files.
    prior: a name, or a file of a mixture.
    settings: of :func:`study.diagnosis.diagnose.evaluation`.
    results: folder of studies.
    name: of the study; None for that of each file.
    sampler: folder for the density of the one file; None for none.
    command: what a user typed, for the record.
    progress: takes lines on what is being done.

    Raises a StudyError for a file, a prior or settings that cannot be diagnosed, and Exit after a signal.
    """
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
                say=progress,
                heartbeat=heartbeat,
            )
            folder = answer.save(results, name, command=command)
            page = answer.page(folder / f"diagnosis-{answer.name}.html")
            say(str(answer))
            say(f"\nresults: {folder}; `latent-study summary {folder}` has every number")
            say(f"page: {page}")
            if sampler is not None and answer.details["interrupted"]:
                say("sampler: none, since the diagnosis was interrupted")
        if sampler is not None:
            say(f"sampler: {answer.sampler(folder=sampler)}, from {answer.best}")


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
