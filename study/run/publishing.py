"""Publishing: each finished cell goes to the URL of a study's results when it is stored here.

It takes the time of its upload, in which no other event is heard, and other cells are computed on. Where the store
cannot be reached the study goes on, and what is not there yet is tried again at its end, and by the next run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from study.errors import DataError, EnvironmentFault, StudyError
from study.run.job import Event, Outcome

if TYPE_CHECKING:
    from study.store.objects.mirror import Mirror

log = logging.getLogger(__name__)


@contextmanager
def publishing(mirror: Mirror | None) -> Iterator[Callable[[Event], None]]:
    """A watcher of the study that publishes cells as they are stored, and at the end those that are left.

    mirror: of the URL; None where results stay in a folder.

    Raises DataError at the end where the URL has another result of a cell, and EnvironmentFault where it cannot be
    reached.
    """
    if mirror is None:
        yield lambda event: None
        return
    reached = True

    def watch(event: Event) -> None:
        nonlocal reached
        if reached and isinstance(event.what, Outcome) and event.what.status == "stored":
            try:
                mirror.publish(event.key)
            except StudyError as error:
                reached = False
                log.warning("%s; at the end it is tried again", error)

    yield watch
    _publish_rest(mirror)


def _publish_rest(mirror: Mirror) -> None:
    waiting, conflict = mirror.unpublished(), None
    for number, key in enumerate(waiting):
        try:
            mirror.publish(key)
        except DataError as error:  # one cell's own
            conflict = conflict or error
        except StudyError as error:
            raise EnvironmentFault(
                f"{len(waiting) - number} cells are stored in {mirror.store.root} and not published: {error}"
            ) from error
    if conflict:
        raise conflict
