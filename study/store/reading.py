"""Reading: what lies in a results folder, which anybody may have made, as values or as one exception.

Whatever is wrong with a file (absent, unreadable, no regular file, too large, not parseable, not of the schema) is
:class:`Corrupt` with the reason. Nothing in a file is trusted before it is checked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Corrupt(Exception):
    """A file or stored cell that is not what it should be; the message says how."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns every failure of the block into :class:`Corrupt`, which names the file ``name``."""
    try:
        yield
    except Corrupt:
        raise
    except FileNotFoundError as error:
        raise Corrupt(f"{name} is absent") from error
    except OSError as error:
        raise Corrupt(f"{name} is not readable: {error.strerror or error}") from error
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise Corrupt(f"{name} is not readable: {what[:200]}") from error


def regular(path: Path, limit: int) -> Path:
    """``path``, which is a regular file of at most ``limit`` bytes, or a link to one; raises :class:`Corrupt`.

    Pipes, devices and sockets are not opened: reading from them may take for ever.
    """
    with reading(path.name):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Corrupt(f"{path.name} is no regular file")
        if status.st_size > limit:
            raise Corrupt(f"{path.name} has {status.st_size:,} bytes, more than the {limit:,} that are read")
    return path
