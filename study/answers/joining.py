"""Joining: which studies cells come from that are read together, and whether their numbers can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from study.answers.stored_cell import StoredCell

ALIKE = "the same, so that their numbers can be compared"
OTHER = "not the same in all, so that their numbers cannot be compared"
APART = "no two have a data set in common, so that their numbers cannot be compared"


def joined(cells: Iterable[StoredCell]) -> str:
    """One sentence on the studies of ``cells``, with their data sets; empty where all are of one study.

    Folders of one name, as from several machines, are one study. Images are the same where the checksums of a data
    set's content are.
    """
    of_folders: dict[Path, set[str]] = defaultdict(set)
    checksums: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        dataset = str(cell.settings["dataset"])
        for part in cell.stored:
            of_folders[part.store.root].add(dataset)
            checksums[dataset].add(part.manifest.images)
    datasets: dict[str, set[str]] = defaultdict(set)
    for folder, names in of_folders.items():
        datasets[folder.resolve().name] |= names
    if len(datasets) < 2:
        return ""
    studies = ", ".join(f"{study} ({', '.join(sorted(names))})" for study, names in sorted(datasets.items()))
    common = [name for name in sorted(checksums) if sum(name in names for names in datasets.values()) > 1]
    notes = [f"the images of {name} are {ALIKE if len(checksums[name]) == 1 else OTHER}" for name in common]
    return f"{len(datasets)} studies are joined, {studies}: {'; '.join(notes) or APART}"
