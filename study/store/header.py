"""Header: the line of an extract that says what its cell is, and where each part of the extract lies."""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import from_json

from study.store.manifest import Manifest
from study.store.marks import Mark


class Span(NamedTuple):
    """Where a part lies.

    start: its first byte, counted from the first of all parts.
    size: number of bytes.
    digest: SHA-256 of them, in hexadecimal.
    """

    start: int
    size: int
    digest: str


class Shared:
    """One object for all dicts and lists of JSON that have the same content in the same order, which nobody changes: of
    ten thousand cells most settings are alike."""

    def __init__(self) -> None:
        self._known: dict[bytes, Any] = {}

    def __call__(self, value: Any) -> Any:
        """The first value that was this one's like; numbers and texts are returned as they are."""
        # Version 2 of the format writes equal content as equal bytes; later ones mark objects that occur twice.
        return self._known.setdefault(marshal.dumps(value, 2), value) if isinstance(value, dict | list) else value


@dataclass(frozen=True)
class Header:
    """What precedes the parts.

    version: of what an extract holds and of the checks that its cell has passed.
    marks: of the cell's files when they were verified.
    manifest: of the cell.
    sizes: lengths of the dimensions of every group.
    spans: of each part, by name.
    """

    version: int
    marks: tuple[Mark, ...]
    manifest: Manifest
    sizes: dict[str, dict[str, int]]
    spans: dict[str, Span]

    @classmethod
    def of(cls, line: bytes, shared: Shared) -> Header:
        """The header that was written as a line.

        line: authenticated, and so in no need of a validation, which takes longer than all else that is read of a cell.
        shared: values of other headers, which this one has in common with them.
        """
        said = from_json(line)
        manifest = said["manifest"]
        config = {name: shared(value) for name, value in manifest["config"].items()}
        alike = {"config": config, "versions": shared(manifest["versions"])}
        return cls(
            said["version"],
            tuple(map(tuple, said["marks"])),
            Manifest.model_construct(**(manifest | alike)),
            shared(said["sizes"]),
            {name: Span(*span) for name, span in said["spans"].items()},
        )

    def line(self) -> bytes:
        """This header as it is written."""
        return _HEADER.dump_json(self) + b"\n"


_HEADER = TypeAdapter(Header)
