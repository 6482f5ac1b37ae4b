"""Signature: what a part offers (its options, what it is, its paper), read from its source without running it.

Importing a prior imports torch and Pyro, which takes seconds; a listing of parts, a configuration's key and a dry run
need no more than the constructor's signature. A module's syntax tree has it: keyword-only parameters with annotations
made of built-in types, ``Literal``, ``Annotated[…, Field(…)]`` and names that stand for such, defaults that are
literals or constants of the module, all looked up along base classes and imports as Python would. What is written
otherwise raises :class:`NotStatic`; then :func:`signature_of` reads the class itself.
"""

from __future__ import annotations

import ast
import inspect
import operator
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pydantic import Field
from pydantic.fields import FieldInfo

from models.options import LARGEST_COUNT, LARGEST_SCALE


@dataclass(frozen=True, slots=True)
class Option:
    """One typed keyword option of a part.

    name: as in ``prior.<name>``.
    annotation: type, with its range as ``Annotated[int, Field(ge=1)]``.
    default: its value where none is given; ``inspect.Parameter.empty`` where one must be.
    """

    name: str
    annotation: typing.Any
    default: typing.Any

    @property
    def allowed(self) -> str:
        """The values that its annotation allows, in short: ``≥ 1``, ``spline|affine``; empty for a bare type."""
        return allowed(self.annotation)


def allowed(annotation: typing.Any, constraints: typing.Iterable[typing.Any] = ()) -> str:
    """The values that a type with its constraints allows, in short.

    annotation: a type, with its range as ``Annotated[int, Field(ge=1)]``, an alternative or a sequence of such.
    constraints: further ones, as ``FieldInfo.metadata`` of pydantic has them.
    """
    kinds = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        fields = [item for item in annotation.__metadata__ if isinstance(item, FieldInfo)]
        constraints = [*constraints, *(constraint for field in fields for constraint in field.metadata)]
        return allowed(kinds[0], constraints)
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(map(str, kinds))
    symbols = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{symbol} {getattr(c, name)}"
        for c in constraints
        for name, symbol in symbols.items()
        if hasattr(c, name) and getattr(c, name) not in _LIMITS
    ]
    inner = [text for kind in kinds if kind is not Ellipsis and (text := allowed(kind))]
    return ", ".join([*bounds, *dict.fromkeys(inner)])


_LIMITS = {LARGEST_COUNT, LARGEST_SCALE}
"""Bounds of every count and scale, which say nothing of the one at hand."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Name, summary and options of a part.

    options: typed keyword options of its constructor, by name.
    summary: first paragraph of its docstring, on one line.
    reference: its paper, as its class states it.
    num_images, num_held_out: training and held-out images of a data set, where their numbers are known; None for parts
        of other families.
    mapped: whether the images of a data set stay in their file, and need not fit into memory.
    repeats_training_images: whether samples of a prior or a density are the training images again.
    """

    options: dict[str, Option]
    summary: str
    reference: str
    num_images: int | None = None
    num_held_out: int | None = None
    mapped: bool = False
    repeats_training_images: bool = False


class NotStatic(Exception):
    """Something in a module's source that only running it can tell."""


def signature_of(part: type) -> Signature:
    """The signature of an imported class."""
    constructor = part.__init__  # type: ignore[misc]
    hints = typing.get_type_hints(constructor, include_extras=True)
    options = {
        parameter.name: Option(parameter.name, hints.get(parameter.name, typing.Any), parameter.default)
        for parameter in inspect.signature(constructor).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return Signature(
        options,
        _summary(inspect.getdoc(part)),
        getattr(part, "reference", ""),
        getattr(part, "num_images", None),
        getattr(part, "num_held_out", None),
        getattr(part, "mapped", False),
        getattr(part, "repeats_training_images", False),
    )


def read_signature(module: str, package: str, base: str) -> Signature:
    """The signature of the one public class of a module that derives from a family's base class.

    module: dotted name of the module that defines the class.
    package, base: the family's package and the name of its base class there.

    Raises:
        NotStatic: if there is not exactly one such class, or its signature cannot be read without running it.
    """
    source = _Module.named(module)
    lineages = [source.lineage(name) for name in source.classes if not name.startswith("_")]
    lineages = [lineage for lineage in lineages if any(_is_base(*place, package, base) for place in lineage)]
    if len(lineages) != 1:
        raise NotStatic(f"{module} has {len(lineages)} public classes derived from {base}")
    (lineage,) = lineages
    nearest, name = lineage[0]
    return Signature(
        _options(lineage),
        _summary(ast.get_docstring(nearest.classes[name])),
        str(_constant(lineage, "reference") or ""),
        _constant(lineage, "num_images"),
        _constant(lineage, "num_held_out"),
        bool(_constant(lineage, "mapped")),
        bool(_constant(lineage, "repeats_training_images")),
    )


Lineage = list[tuple["_Module", str]]
"""A class and its base classes, each by module and name, nearest first, as far as their sources are in its package."""


@dataclass(frozen=True, slots=True, eq=False)
class _Module:
    """The top level of one module's source: classes, assigned values, and where imported names come from."""

    name: str
    classes: dict[str, ast.ClassDef]
    values: dict[str, ast.expr]
    imported: dict[str, tuple[str, str]]

    @classmethod
    def named(cls, name: str) -> _Module:
        """The module of this dotted name, which is found and not run."""
        return _parsed(name)

    def lineage(self, name: str) -> Lineage:
        """The class ``name`` of this module with its base classes."""
        found: Lineage = [(self, name)]
        for node in self.classes[name].bases:
            target = node.value if isinstance(node, ast.Subscript) else node
            if isinstance(target, ast.Name) and (place := self._origin(target.id)):
                found += place[0].lineage(place[1])
        return found

    def _origin(self, name: str) -> tuple[_Module, str] | None:
        """The module that defines the class ``name`` which this one uses; None for one of another package."""
        if name in self.classes:
            return self, name
        source, original = self.imported.get(name, ("", ""))
        if source.partition(".")[0] != self.name.partition(".")[0]:
            return None
        return _Module.named(source)._origin(original)

    def value(self, node: ast.expr) -> typing.Any:
        """Value of an expression of this module; raises NotStatic where its form is not among those read here."""
        denoted: typing.Any
        match node:
            case ast.Constant(value=value):
                denoted = value
            case ast.Name(id=name):
                denoted = self._named(name)
            case ast.Tuple(elts=items):
                denoted = tuple(map(self.value, items))
            case ast.Subscript(value=generic, slice=argument):
                denoted = self.value(generic)[self.value(argument)]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                denoted = -self.value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                denoted = _OPERATORS[type(op)](self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id="Field"), args=[], keywords=keywords) if all(k.arg for k in keywords):
                denoted = Field(**{str(k.arg): self.value(k.value) for k in keywords})
            case _:
                raise NotStatic(f"{self.name}: {ast.unparse(node)}")
        return denoted

    def _named(self, name: str) -> typing.Any:
        if name in self.values:
            return self.value(self.values[name])
        if name in self.imported:
            source, original = self.imported[name]
            if source == "typing" and original in _TYPING:
                return getattr(typing, original)
            if source.partition(".")[0] == self.name.partition(".")[0]:
                return _Module.named(source)._named(original)
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        raise NotStatic(f"{self.name}: the name {name}")


_OPERATORS: dict[type[ast.operator], Callable[[typing.Any, typing.Any], typing.Any]] = {
    ast.BitOr: operator.or_,
    ast.Mult: operator.mul,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
}
_BUILT_IN = {kind.__name__: kind for kind in (bool, int, float, str, tuple)}
_TYPING = {"Annotated", "Any", "Literal"}


def folder_of(package: str) -> Path:
    """Folder of the package of this dotted name, found without importing it or its parents."""
    top, *parts = package.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        raise NotStatic(f"no source of {top}")
    return Path(spec.origin).parent.joinpath(*parts)


@cache
def _parsed(name: str) -> _Module:
    folder = folder_of(name)
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    if not path.is_file():
        raise NotStatic(f"no source of {name}")
    classes: dict[str, ast.ClassDef] = {}
    values: dict[str, ast.expr] = {}
    imported: dict[str, tuple[str, str]] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.ClassDef():
                classes[node.name] = node
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                values[target] = value
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                values[target] = value
            case ast.TypeAlias(name=ast.Name(id=target), value=value):
                values[target] = value
            case ast.ImportFrom(module=str(source), names=aliases, level=0):
                imported |= {alias.asname or alias.name: (source, alias.name) for alias in aliases}
    return _Module(name, classes, values, imported)


def _is_base(module: _Module, name: str, package: str, base: str) -> bool:
    return name == base and module.name in (package, f"{package}._base")


def _options(lineage: Lineage) -> dict[str, Option]:
    """Keyword-only parameters of the nearest constructor."""
    for module, name in lineage:
        for node in module.classes[name].body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                return {argument.arg: _option(module, argument, default) for argument, default in pairs}
    return {}


def _option(module: _Module, argument: ast.arg, default: ast.expr | None) -> Option:
    annotation = typing.Any if argument.annotation is None else module.value(argument.annotation)
    return Option(argument.arg, annotation, inspect.Parameter.empty if default is None else module.value(default))


def _constant(lineage: Lineage, constant: str) -> typing.Any:
    """Value of ``constant`` in the nearest class that sets it; None where none does."""
    for module, name in lineage:
        for node in module.classes[name].body:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=target)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
                ) if target == constant:
                    return module.value(value)
    return None


def _summary(docstring: str | None) -> str:
    return (docstring or "").partition("\n\n")[0].replace("``", "").replace("\n", " ")
