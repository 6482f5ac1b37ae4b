"""Files: written so that each is whole or absent, whoever else writes in the same folder.

A new file is made in a fresh folder beside its place that only this user can enter, flushed to the disk, and renamed.
The folder's name cannot be guessed, so that no link waits there to be followed; where a crash leaves it behind, its
prefix tells what it was for, and the next run sweeps it.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to; when the block ends, what lies there takes the place of ``target`` in one step.

    target: a file, or a folder that does not exist yet. A link of that name is replaced and not followed.

    Files have the mode of any new file of this user (0666 without the bits of the umask). Where the block raises,
    ``target`` is as it was. Raises OSError, as where ``target`` is a device, a pipe or a socket, or in ``/dev``, where
    root could exchange ``/dev/null`` for a file.
    """
    if _is_special(target):
        raise OSError(errno.EINVAL, "it is no regular file, which alone is replaced by another", str(target))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.writing-") as folder:
        path = Path(folder) / target.name
        yield path
        files = [*path.iterdir()] if path.is_dir() else [path]
        usual = _usual_mode(Path(folder))
        for file in files:
            # Some libraries write through temporary files of their own, which are for the owner's eyes alone.
            file.chmod(usual)
        for each in {*files, path}:
            flush(each)
        path.replace(target)
        flush(target.parent)


def _is_special(path: Path) -> bool:
    """Whether there is something at ``path``, or behind a link there, that is neither a file nor a folder."""
    if path.parent.resolve() == Path("/dev"):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # nothing is there, or a link to nothing
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def own_folder(path: Path) -> Path:
    """``path``, a folder of the program's own within one that somebody else may have made; made where it is absent.

    Raises OSError where it is a link: whoever made it would choose where is written.
    """
    path.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, which is not followed where something is written", str(path))
    return path


def _usual_mode(folder: Path) -> int:
    """The mode of a new file in ``folder``: asking for the umask itself would change it for other threads."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return mode


def sweep(folder: Path, name: str = "", *, older_than: float = 0.0) -> None:
    """Removes what crashes left in ``folder`` of files and folders whose names begin with ``name``.

    older_than: seconds since it was made; where others may be writing meanwhile, longer than that takes.
    """
    for left in folder.glob(f"{name}*.writing*"):
        if time.time() - left.lstat().st_mtime < older_than:
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def set_aside(path: Path, *, beside: Path | None = None, word: str = "corrupt") -> Path:
    """Renames what is in the way to the first free of ``<stem>.corrupt-1``, ``-2``, …; nothing is deleted.

    path: a file, folder or link.
    beside: a folder after which to name it; ``path`` then lies within ``<stem>.corrupt-n`` under its own name.
    word: what is said of it.
    """
    for number in itertools.count(1):
        aside = (beside or path).with_suffix(f".{word}-{number}")
        if not os.path.lexists(aside):
            break
    if beside is None:
        return path.rename(aside)
    aside.mkdir()
    return path.rename(aside / path.name)


def flush(path: Path) -> None:
    """Forces a file's or folder's contents to the disk; Windows does so by itself, and opens no folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def printable(name: Path | str) -> str:
    r"""A name from a file system, on one line: control characters and undecodable bytes as ``\x1b``."""
    text = str(name)
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    # Python reads an undecodable byte b as the surrogate U+DC00 + b (PEP 383).
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()
