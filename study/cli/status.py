"""`latent-study status`: where each cell of a study stands."""

from __future__ import annotations

from study.cli.options import ResultsFolders, places
from study.errors import say_line
from study.store.status import status_lines


def command(results: ResultsFolders = None) -> None:
    """List each cell as done, interrupted, corrupt or failed (with the reason), or unfinished."""
    for place in places(results):
        for line in status_lines(place.folder, place.name, place.with_weights, place.left_out):
            say_line(line)
