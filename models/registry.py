"""Registry: the parts of one family, discovered from its folder; a part's file stem is its name everywhere.

A family is a package whose modules each define exactly one public class derived from the family's base class. Its
``__init__`` takes the :class:`~models.context.Context` first and then typed keyword-only options, which are the part's
configuration schema. Deleting a file removes the part; adding one adds it, with no list to edit.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches


class UnknownName(ValueError):
    """A name that is not in a closed list; the message offers the nearest known one."""

    def __init__(self, kind: str, name: str, known: typing.Iterable[str]) -> None:
        choices = sorted(known)
        near = get_close_matches(str(name), choices, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}; {hint}known: {', '.join(choices) or 'none'}")


@dataclass(frozen=True, slots=True)
class Option:
    """One typed keyword option of a part; ``default`` is ``inspect.Parameter.empty`` where the option is required."""

    name: str
    annotation: typing.Any
    default: typing.Any


class Registry[Part](Mapping[str, type[Part]]):
    """Mapping from part name to class for the modules of ``package`` that define a subclass of ``base``."""

    def __init__(self, kind: str, package: str, base: type[Part]) -> None:
        self.kind = kind
        self._package = package
        self._base = base

    def _names(self) -> list[str]:
        path = importlib.import_module(self._package).__path__
        return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))

    def __getitem__(self, name: str) -> type[Part]:
        if name not in self._names():
            raise UnknownName(self.kind, name, self._names())
        module = importlib.import_module(f"{self._package}.{name}")
        own = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, self._base)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        ]
        if len(own) != 1:
            raise TypeError(f"{module.__name__} must define exactly one public {self._base.__name__}; found {len(own)}")
        return own[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def options(self, name: str) -> dict[str, Option]:
        """Typed keyword options of the part's constructor, by name."""
        constructor = self[name].__init__
        hints = typing.get_type_hints(constructor, include_extras=True)
        return {
            parameter.name: Option(parameter.name, hints.get(parameter.name, typing.Any), parameter.default)
            for parameter in inspect.signature(constructor).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def reference(self, name: str) -> str:
        """The part's paper, as its class states it (``reference = "Authors, year, arXiv id"``)."""
        return getattr(self[name], "reference", "")
