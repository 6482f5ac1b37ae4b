"""Reading: what lies in a results folder, which anybody may have made, as values or as one exception.

Whatever is wrong with a file (absent, unreadable, no regular file, too large, not parseable, not of the schema) is
:class:`Corrupt` with the reason. Nothing in a file is trusted before it is checked, and nothing is opened or taken into
memory before its kind and size are.

Links to regular files are read: people keep large results on another disk and link to them, and what is read through a
link is held to the same kind, size, schema and hash. Nothing is ever written through a link, see :mod:`study.files`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from safetensors import safe_open

from study.design.cell import Cell
from study.errors import EnvironmentFault, StudyError

if TYPE_CHECKING:
    from torch import Tensor

MAX_RECORD = 2**22
"""Bytes of a JSON or CSV file that are read: 4 MiB."""

MAX_RESULT = 2**31
"""Bytes of a result, as stored and in memory: 2 GiB; a cell of D = 65,536 has less than a tenth of it."""

MAX_WEIGHTS = 2**35
"""Bytes of a file of tensors: 32 GiB."""

MAX_NUMBER = 2**53
"""Integers are at most this large, so that they are exact as floating-point numbers too."""


class Corrupt(Exception):
    """A file or stored cell that is not what it should be; the message says how."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns every failure of the block into :class:`Corrupt`, which names the file ``name``."""
    try:
        yield
    except (Corrupt, EnvironmentFault):
        raise
    except FileNotFoundError as error:
        raise Corrupt(f"{name} is absent") from error
    except OSError as error:
        raise Corrupt(f"{name} is not readable: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Corrupt(f"{name} is not readable: {where and f'{where}: '}{first['msg']}"[:300]) from error
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise Corrupt(f"{name} is not readable: {what}"[:300]) from error


@contextmanager
def opened(path: Path, limit: int) -> Iterator[int]:
    """Descriptor of the regular file at ``path``, or behind a link there, of at most ``limit`` bytes; raises
    :class:`Corrupt`.

    Pipes, devices and sockets are not opened: reading from them may take for ever, and one that takes the place of a
    file in the last moment does not block.
    """
    with reading(path.name):
        _check(path.name, os.stat(path), limit)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            _check(path.name, os.fstat(descriptor), limit)
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def regular(path: Path, limit: int) -> Iterator[Path]:
    """The place of what :func:`opened` opens, for readers that want a name; raises :class:`Corrupt`.

    It names the open file itself where the system can (``/proc/self/fd``): nobody can put another one into its place
    between the look at it and its reader.

    path: of the file, or of a link to it.
    limit: number of bytes that it may have.
    """
    with opened(path, limit) as descriptor:
        named = Path(f"/proc/self/fd/{descriptor}")
        yield named if named.exists() else path


def _check(name: str, status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Corrupt(f"{name} is no regular file")
    if status.st_size > limit:
        raise Corrupt(f"{name} has {status.st_size:,} bytes, more than the {limit:,} that are read")


def content(path: Path, limit: int = MAX_RECORD) -> bytes:
    """The bytes of the regular file at ``path``, at most ``limit`` of them; raises :class:`Corrupt`."""
    with opened(path, limit) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return file.read(os.fstat(descriptor).st_size)  # a buffer as large as the limit takes longer than to fill it


def record[Model: BaseModel](path: Path, schema: type[Model]) -> Model:
    """The JSON file at ``path`` as ``schema``."""
    with reading(path.name):
        return schema.model_validate_json(content(path))


_ALWAYS = {"dataset", "latent_dim", "prior", "posterior", "network", "likelihood", "objective", "train", "evaluate"}


def cell_of(config: dict[str, Any]) -> Cell:
    """The cell of a stored configuration; raises :class:`Corrupt` where it is none that this installation knows."""
    with reading("its configuration"):
        _check_numbers(config)
        try:
            cell = Cell.from_config(config)
        except StudyError as error:
            raise Corrupt(f"its configuration is not valid: {error}") from error
        for name, value in cell.config().items():
            # Settings added since have defaults; what labels and answers ask for was always stored, and in full.
            absent = name in _ALWAYS and name not in config
            stored = config.get(name, value)
            # Another notation than is written, such as [1] for 1, would be read in one place and not in another.
            if absent or (stored != value if not isinstance(value, dict) else not isinstance(stored, dict)):
                raise Corrupt(f"its configuration does not say its {name}")
        return cell


def _check_numbers(value: object) -> None:
    """Raises Corrupt where an integer within ``value`` is too large to be a floating-point number exactly."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_numbers(item)
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise Corrupt(f"its configuration has an integer beyond {MAX_NUMBER:,}")


def tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a safetensors file on the CPU, without the prefix of their names.

    path: of the file.
    prefix: only tensors whose names begin with it are read.

    Raises :class:`Corrupt`.
    """
    with regular(path, MAX_WEIGHTS) as place, safe_open(place, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  (it is no mapping)
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
