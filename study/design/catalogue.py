"""Catalogue: everything that a study can be made of, described from the sources themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import Parameter
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from study.design.cell import Cell
from study.design.families import DENSITIES, FAMILIES
from study.design.option_key import SEVERAL
from study.design.parts import Part
from study.design.registry import Registry, UnknownName
from study.design.settings import Settings
from study.design.signature import allowed
from study.design.study import SECTIONS, Study, presets
from study.errors import ConfigurationError


def catalogue(what: str | None) -> RenderableType:
    """Tables of one kind of thing (``priors``), or of every kind."""
    tables: Mapping[str, Callable[[], Table]] = {
        "presets": _presets,
        **{family.plural: partial(_family, family) for family in FAMILIES.values()},
        "settings": _settings,
    }
    if what is None:
        return Group(*(table() for table in tables.values()))
    if what not in tables:
        raise ConfigurationError(str(UnknownName("kind", what, tables)))
    return tables[what]()


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, expand=False)
    for index, column in enumerate(columns):
        table.add_column(column, style="cyan" if index == 0 else None, no_wrap=index == 0, overflow="fold")
    return table


def _add(table: Table, *texts: str) -> None:
    """A row without markup: brackets are ours."""
    table.add_row(*map(Text, texts))


def _presets() -> Table:
    table = _table("presets", "name", "factors", "cells", "description")
    for name in presets():
        study = Study.load(name)
        products = {"": study.factors} | {f"{arm}: ": product.factors for arm, product in study.arms.items()}
        factors = "\n".join(prefix + _product(product) for prefix, product in products.items() if product)
        _add(table, name, factors, str(len(study.cells())), study.description)
    return table


def _product(factors: Mapping[str, Iterable[Any]]) -> str:
    return " ".join(f"{key}={','.join(map(str, values))}" for key, values in factors.items())


def _family(family: Registry[Any]) -> Table:
    table = _table(family.plural, "name", "options, default and range", "description", "reference")
    for name in family:
        signature = family.signature(name)
        prefix = f"{SEVERAL}.{name}" if family is DENSITIES else family.kind
        options = "\n".join(
            f"{prefix}.{option.name}={_default(option.default)}" + (f"  ({option.allowed})" if option.allowed else "")
            for option in signature.options.values()
        )
        _add(table, name, options, signature.summary, signature.reference)
    return table


def _settings() -> Table:
    table = _table("settings", "name", "default", "range", "description")
    _add_fields(table, "", Cell)
    for prefix, section in SECTIONS.items():
        _add_fields(table, f"{prefix}.", section)
    return table


def _add_fields(table: Table, prefix: str, schema: type[Settings]) -> None:
    for name, field in schema.model_fields.items():
        if name not in SECTIONS:
            default = field.get_default(call_default_factory=True)
            _add(
                table,
                prefix + (field.alias or name),
                _default(default),
                allowed(field.annotation, field.metadata),
                field.description or "",
            )


def _default(default: Any) -> str:
    if default is Parameter.empty:
        return "(required)"
    if isinstance(default, Part):
        return default.label
    if isinstance(default, tuple):
        return f"[{','.join(map(_default, default))}]" if len(default) != 1 else _default(default[0])
    return "none" if default is None else str(default)
