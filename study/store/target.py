"""Target: a study where results are written, in a folder or at a URL."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from study.paths import is_url
from study.store import Store, objects

if TYPE_CHECKING:
    from study.store.objects.mirror import Mirror

log = logging.getLogger(__name__)


class Target(NamedTuple):
    """A study where results are written.

    store: of its cells; of their copies here where they go to a URL.
    name: what a user knows the place by: the folder, or the URL.
    mirror: of the URL; None for a folder.
    """

    store: Store
    name: str
    mirror: Mirror | None

    def publish(self) -> None:
        """Writes to the URL what is not there yet; nothing for a folder.

        Raises a StudyError where the URL cannot be reached or has another result of a cell.
        """
        if self.mirror:
            for key in self.mirror.unpublished():
                self.mirror.publish(key)


def target_of(results: str, study: str) -> Target:
    """Where the results of a study are written; the copy here of what is at a URL is brought up to date.

    results: a results folder, or a URL.
    study: its name.

    Raises a StudyError where the URL cannot be reached.
    """
    if not is_url(results):
        folder = Path(results) / study
        return Target(Store(folder), str(folder), None)
    mirror = objects.mirror_at(results, study)
    for name, reason in mirror.refresh().left_out.items():
        log.warning("left out: %s: %s", name, reason)
    return Target(mirror.store, mirror.url, mirror)
