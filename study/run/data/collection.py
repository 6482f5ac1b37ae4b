"""Collection: the image files beneath a folder, each real file once, with their classes and their split.

    ROOT/cat/1.png, ROOT/dog/2.png              classes cat and dog; the split is drawn
    ROOT/1.png, ROOT/2.png                      one class
    ROOT/train/cat/1.png, ROOT/test/cat/2.png   the published layout: test is held out

Folders within a class belong to it. Files and folders whose names begin with a full stop are hidden and left out, and
so is what is no regular file: nothing but regular files is ever opened. A link is followed where it leads to a file or
folder that is not read anyway, so that links neither repeat an image nor lead in circles; of several names of one file
the first is taken. What is left out is counted.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from study.errors import DataError
from study.files import printable
from study.run.data.decoding import SUFFIXES

TRAINING = ("train", "training")
HELD_OUT = ("test", "testing", "val", "valid", "validation")
"""Names of the folders of a published split; of several held-out ones the first here is taken."""

HIDDEN = {"__MACOSX", "@eaDir"}
"""Folders in which archives and file servers keep what is theirs."""

MOST_KINDS = 12
"""Kinds of files left out that a sentence names."""

_ENDINGS = " ".join(SUFFIXES)


@dataclass(slots=True)
class Collection:
    """The image files of ``root``, in the order of their names.

    paths, labels: path of each image and index of its class.
    classes: names of the classes.
    held_out: whether each image is of the published held-out set; ``None`` where the split is to be drawn.
    notes: sentences on what was left out.
    """

    root: Path
    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    held_out: list[bool] | None = None
    notes: tuple[str, ...] = ()


def collect(root: Path) -> Collection:
    """The images beneath ``root``; DataError where there are none, or where their classes or split are ambiguous."""
    walk = _Walk(root)
    tree = walk.tree()
    split = _split(root, tree)
    collection = Collection(root)
    if split is None:
        _add(collection, root, tree, root.resolve().name)
    else:
        training, held_out, unused = split
        _add(collection, root / training, tree.folders[training], root.resolve().name)
        count = len(collection.paths)
        _add(collection, root / held_out, tree.folders[held_out], root.resolve().name)
        collection.held_out = [index >= count for index in range(len(collection.paths))]
        aside = f"; {', '.join(map(printable, unused))} left aside" if unused else ""
        collection.notes += (
            f"folder: {printable(root / training)} is trained on and {printable(root / held_out)} held out{aside}",
        )
    if walk.left_out:
        collection.notes += (
            f"folder: left out of {printable(root)}: {_counted(walk.left_out)}; names of images end in {_ENDINGS}",
        )
    return collection


@dataclass(slots=True)
class _Tree:
    """Content of a folder: its image files, its sub-folders by name, and how many other files lie in it."""

    files: list[Path] = field(default_factory=list)
    folders: dict[str, _Tree] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)

    def within(self) -> list[Path]:
        """All image files in it and beneath, folder by folder."""
        files, waiting = list[Path](), [self]
        while waiting:
            tree = waiting.pop()
            files += tree.files
            waiting += tree.folders.values()
        return sorted(files, key=lambda path: (str(path.parent), path.name))

    def left_out(self) -> Counter[str]:
        """Files in it and beneath that are not read."""
        counts, waiting = Counter[str](), [self]
        while waiting:
            tree = waiting.pop()
            counts += tree.others
            waiting += tree.folders.values()
        return counts


class _Walk:
    """One walk over a folder that takes every real file and folder once; those not behind links come first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left_out: Counter[str] = Counter()
        self._identities: set[tuple[int, int]] = set()
        self._links: list[tuple[Path, _Tree]] = []

    def tree(self) -> _Tree:
        """Content of ``root``."""
        tree = _Tree()
        resolved = self.root.resolve()
        self._above = {_identity(above) for above in (resolved, *resolved.parents)}
        self._identities.add(_identity(self.root))
        self._descend(self.root, tree)
        # In the order of their names, so that of two links to one file always the same is taken.
        while self._links:
            self._links.sort(key=lambda link: str(link[0]), reverse=True)
            self._follow(*self._links.pop())
        self.left_out += tree.left_out()
        return tree

    def _descend(self, folder: Path, tree: _Tree) -> None:
        waiting = deque([(folder, tree)])
        while waiting:
            place, here = waiting.popleft()
            try:
                with os.scandir(place) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                raise DataError(
                    f"folder: {printable(place)} cannot be read ({error.strerror}); make it readable or remove it"
                ) from error
            for entry in entries:
                path = place / entry.name
                if entry.name.startswith(".") or entry.name in HIDDEN:
                    here.others["hidden"] += 1
                elif entry.is_symlink():
                    self._links.append((path, here))
                elif entry.is_dir(follow_symlinks=False):
                    if self._first(path, here):
                        waiting.append((path, here.folders.setdefault(entry.name, _Tree())))
                else:
                    self._take(path, here)

    def _follow(self, link: Path, tree: _Tree) -> None:
        try:
            is_folder = stat.S_ISDIR(link.stat().st_mode)
        except OSError:
            tree.others["broken links"] += 1
            return
        if not is_folder:
            self._take(link, tree)
        elif _identity(link) in self._above:
            tree.others["further names of what is read"] += 1
        elif self._first(link, tree):
            self._descend(link, tree.folders.setdefault(link.name, _Tree()))

    def _take(self, path: Path, tree: _Tree) -> None:
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            raise DataError(f"folder: {printable(path)} cannot be read ({error.strerror}); remove it") from error
        if not regular:
            tree.others["no regular files"] += 1
        elif not path.name.lower().endswith(SUFFIXES):
            tree.others[printable(path.suffix.lower()) or "without a suffix"] += 1
        elif self._first(path, tree):
            tree.files.append(path)

    def _first(self, path: Path, tree: _Tree) -> bool:
        """Whether the file or folder is met for the first time."""
        identity = _identity(path)
        if identity in self._identities:
            tree.others["further names of what is read"] += 1
            return False
        self._identities.add(identity)
        return True


def _counted(left_out: Counter[str]) -> str:
    largest = sorted(left_out.most_common(MOST_KINDS))
    others = sum(left_out.values()) - sum(number for _, number in largest)
    return ", ".join(f"{number:,} {reason}" for reason, number in [*largest, *[("others", others)] * (others > 0)])


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _split(root: Path, tree: _Tree) -> tuple[str, str, list[str]] | None:
    """Names of the folders of training, held-out and unused images of the published layout, if it is that."""
    training, held_out = _named(tree, TRAINING), _named(tree, HELD_OUT)
    for place, below in _folders(root, tree):
        if _named(below, TRAINING) and _named(below, HELD_OUT):
            raise DataError(
                f"folder: {printable(place)} holds a training and a held-out folder of its own; give it as "
                f"--data-root, or lay the images out as {printable(root)}/train/CLASS and {printable(root)}/test/CLASS"
            )
    names = {name for name, below in tree.folders.items() if below.within()}
    if training and held_out:
        if tree.files:
            raise DataError(
                f"folder: {printable(root)} holds the folders of a split ({training[0]}, {held_out[0]}) and images "
                f"({printable(tree.files[0].name)}, …) side by side; move the images into one of them"
            )
        if others := sorted(names - {*training, *held_out}):
            raise DataError(
                f"folder: {printable(root)} holds the folders of a split ({training[0]}, {held_out[0]}) and others "
                f"({printable(others[0])}, …) side by side; move the others away"
            )
        return training[0], held_out[0], [*training[1:], *held_out[1:]]
    if names and names <= {*training, *held_out}:
        missing = "a held-out one (test or val)" if training else "a training one (train)"
        raise DataError(
            f"folder: {printable(root)} holds only {', '.join([*training, *held_out])} of a split and lacks {missing}; "
            f"add it, or give {printable(root / (training + held_out)[0])} as --data-root, of which a part is held out"
        )
    return None


def _folders(root: Path, tree: _Tree) -> list[tuple[Path, _Tree]]:
    """Every folder beneath ``root``, itself left out."""
    places = [(root / name, below) for name, below in tree.folders.items()]
    for place, below in places:  # grows as it goes
        places += [(place / name, further) for name, further in below.folders.items()]
    return places


def _named(tree: _Tree, names: tuple[str, ...]) -> list[str]:
    """Those folders with images whose names are among ``names``, in their order, whatever the case."""
    order = {name: index for index, name in enumerate(names)}
    chosen = [name for name, below in tree.folders.items() if name.lower() in order and below.within()]
    return sorted(chosen, key=lambda name: (order[name.lower()], name))


def _add(collection: Collection, place: Path, tree: _Tree, single: str) -> None:
    """Appends the images of ``place``, whose folders are classes; without any, all are of the class ``single``."""
    names = sorted(tree.folders)
    if tree.files and (full := [name for name in names if tree.folders[name].within()]):
        raise DataError(
            f"folder: {printable(place)} holds both class folders ({printable(full[0])}, …) and images "
            f"({printable(tree.files[0].name)}, …); move the images into a class folder, or the folders away"
        )
    parts = [(name, tree.folders[name].within()) for name in names] or [(single, tree.files)]
    if empty := [name for name, files in parts if not files]:
        counts = (tree.folders[empty[0]] if names else tree).left_out()
        there = f" (but {_counted(counts)})" if counts else ""
        raise DataError(
            f"folder: {printable(place)}: Found no valid file for the classes {', '.join(map(printable, empty))}{there}"
            f"; add images or remove the empty folder; names of images end in {_ENDINGS}"
        )
    if not collection.classes:
        collection.classes = tuple(name for name, _ in parts)
    for name, files in parts:
        if name not in collection.classes:
            raise DataError(
                f"folder: {printable(place)} has the class {printable(name)}, which the training images lack "
                f"({', '.join(map(printable, collection.classes[:3]))}, …); both need the same class folders"
            )
        collection.paths += files
        collection.labels += [collection.classes.index(name)] * len(files)
