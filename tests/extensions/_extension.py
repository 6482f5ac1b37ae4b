"""Extension: what adds one part to a family, the laws that must take it, and the same with faults that they notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Addition:
    """One new part.

    name: what the identifiers of tests that take the part contain.
    path: of its file in the project. code: what stands in that file.
    beside: text of further files by path.
    noticed_by: a word in the identifier of a test that fails if the part is faulty; empty, the part's name.
    """

    name: str
    path: str
    code: str
    beside: Mapping[str, str] = field(default_factory=dict)
    noticed_by: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "noticed_by", self.noticed_by or self.name)

    @property
    def files(self) -> dict[str, str]:
        """Text of every file by its path."""
        return {self.path: self.code, **self.beside}

    def changed(self, *replacements: tuple[str, str], noticed_by: str = "") -> Self:
        """With the second text of each pair for the first, in names, paths and texts; ValueError where none has it."""
        texts = [self.name, *(text for file in self.files.items() for text in file)]
        for old, new in replacements:
            if not any(old in text for text in texts):
                raise ValueError(f"expected {old!r} in the extension {self.name}, which has it nowhere")
            texts = [text.replace(old, new) for text in texts]
        name, path, code, *beside = texts
        files = dict(zip(beside[::2], beside[1::2], strict=True))
        return type(self)(name, path, code, files, noticed_by)


@dataclass(frozen=True)
class Extension:
    """A family, extended.

    laws: files of tests that find a part by its name; the first of them, the family's own, must notice its faults.
    sound: the part under which no law fails. faulty: parts with one fault each, by a description of the fault. All of
    them stand in one copy of the project, so that their names differ.
    of_all: tests that take the family as a whole, as ``file::test``.
    afterwards: a module to run once a sound part is added, such as one that writes a page anew.
    """

    laws: tuple[str, ...]
    sound: Addition
    faulty: Mapping[str, Addition]
    of_all: tuple[str, ...] = ()
    afterwards: str = ""
