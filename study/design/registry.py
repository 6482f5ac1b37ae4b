"""Registry: the parts of one family, discovered from its folder; a part's file stem is its name everywhere.

A family is a package whose modules each define exactly one public class derived from the family's base class. Its
``__init__`` takes the :class:`~models.context.Context` first and then typed keyword-only options, which are the part's
configuration schema. Deleting a file removes the part; adding one adds it, with no list to edit.

Installed packages add parts by entry points of the group ``latent_study.<folder>``, for a prior

    [project.entry-points."latent_study.priors"]
    laplace = "my_package.laplace:Laplace"

A name that is built in, or that two packages offer, is refused: what a name means must not depend on what is installed.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from study.design.signature import NotStatic, Option, Signature, folder_of, read_signature, signature_of


class UnknownName(ValueError):
    """A name that is not in a closed list; the message offers the nearest known one.

    kind: what the name is of.
    name: the unknown one.
    known: the names that there are.
    """

    def __init__(self, kind: str, name: str, known: typing.Iterable[str]) -> None:
        choices = sorted(known)
        near = get_close_matches(str(name), choices, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}; {hint}known: {', '.join(choices) or 'none'}")


class PartRefused(ValueError):
    """A part that an installed package offers and that cannot be taken: its name is taken, or it is no such part."""


class Registry[Part](Mapping[str, type[Part]]):
    """Mapping from part name to class, from a package's modules and from entry points.

    Names are known without importing any of them.

    kind: the family.
    package: its folder, as a module.
    base: name of the class in ``package`` from which its parts derive.

    Raises UnknownName for a name that nothing has, and PartRefused where an installed package offers a name that is
    taken, or something that is not a subclass of ``base``.
    """

    def __init__(self, kind: str, package: str, base: str) -> None:
        self.kind = kind
        self._package = package
        self._base_name = base

    @property
    def plural(self) -> str:
        """Plural name of its parts: ``priors``."""
        return f"{self.kind.removesuffix('y')}ies" if self.kind.endswith("ty") else f"{self.kind}s"

    @property
    def base(self) -> type[Part]:
        """The family's base class, imported with its package when a part is first wanted, and not before."""
        return getattr(importlib.import_module(self._package), self._base_name)

    def _built_in(self) -> list[str]:
        folder = str(folder_of(self._package))
        return list(_modules(folder, os.stat(folder).st_mtime_ns))

    def _installed(self) -> dict[str, EntryPoint]:
        built_in, entries = set(self._built_in()), dict[str, EntryPoint]()
        group = f"latent_study.{self._package.rpartition('.')[2]}"
        for entry in _entry_points(group, tuple(sys.path)):
            if entry.name in built_in | entries.keys():
                owner = "built in" if entry.name in built_in else f"offered by {_owner(entries[entry.name])} too"
                raise PartRefused(
                    f"{_owner(entry)} offers a {self.kind} named {entry.name!r}, which is {owner}; "
                    "rename its entry point, or uninstall it"
                )
            entries[entry.name] = entry
        return entries

    def _names(self) -> list[str]:
        return sorted([*self._built_in(), *self._installed()])

    def __getitem__(self, name: str) -> type[Part]:
        installed = self._installed()
        if name in installed:
            return self._loaded(installed[name])
        if name not in self._built_in():
            raise UnknownName(self.kind, name, self._names())
        module = importlib.import_module(f"{self._package}.{name}")
        parts = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, self.base)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        ]
        if len(parts) != 1:
            raise TypeError(
                f"{module.__name__} must define exactly one public {self.base.__name__}; found {len(parts)}"
            )
        return parts[0]

    def _loaded(self, entry: EntryPoint) -> type[Part]:
        try:
            part = entry.load()
        except (ImportError, AttributeError) as error:
            raise PartRefused(
                f"{_owner(entry)} offers a {self.kind} {entry.name!r} that cannot be imported ({error}); "
                "repair the package, or uninstall it"
            ) from error
        if not (inspect.isclass(part) and issubclass(part, self.base)):
            raise PartRefused(
                f"{_owner(entry)} offers {entry.value} as a {self.kind}, which is no subclass of "
                f"{self.base.__module__.removesuffix('._base')}.{self.base.__name__}; derive it from that class"
            )
        return part

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def signature(self, name: str) -> Signature:
        """Options, summary and reference of a part; one of these packages is not imported for it if its source tells.

        Raises UnknownName and PartRefused as ``registry[name]`` does.
        """
        if name in self._installed():
            return signature_of(self[name])
        if name not in self._built_in():
            raise UnknownName(self.kind, name, self._names())
        try:
            return read_signature(f"{self._package}.{name}", self._package, self._base_name)
        except NotStatic:
            return signature_of(self[name])

    def options(self, name: str) -> dict[str, Option]:
        """Typed keyword options of the part's constructor, by name."""
        return self.signature(name).options


@lru_cache(maxsize=64)
def _modules(folder: str, changed: int) -> tuple[str, ...]:
    """Names of the public modules of a package's folder, which changed last at ``changed``, in nanoseconds: they are
    asked for several times for each configuration."""
    return tuple(module.name for module in pkgutil.iter_modules([folder]) if not module.name.startswith("_"))


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Entry points of ``group`` on ``path``, which is ``sys.path``: looking through it takes milliseconds."""
    return tuple(_every_entry_point(path).select(group=group))


@cache
def _every_entry_point(path: tuple[str, ...]) -> EntryPoints:
    return entry_points()


def _owner(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist else "an installed package"
