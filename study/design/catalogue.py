"""Catalogue: everything that a study can be made of, described from the sources themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import Parameter
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from study.design.cell import Cell
from study.design.families import DENSITIES, FAMILIES
from study.design.parts import Part
from study.design.registry import UnknownName
from study.design.settings import Settings
from study.design.study import SECTIONS, Study, presets
from study.errors import ConfigurationError


def catalogue(what: str | None) -> RenderableType:
    """Tables of one kind of thing (``priors``), or of every kind."""
    tables: Mapping[str, Callable[[], Table]] = {
        "presets": _presets,
        **{f"{kind}s": partial(_family, kind) for kind in FAMILIES},
        "densities": _densities,
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
        products = {"": study.factors} | {f"{arm}: ": own.factors for arm, own in study.arms.items()}
        factors = "\n".join(prefix + _product(own) for prefix, own in products.items() if own)
        _add(table, name, factors, str(len(study.cells())), study.description)
    return table


def _product(factors: Mapping[str, Iterable[Any]]) -> str:
    return " ".join(f"{key}={','.join(map(str, values))}" for key, values in factors.items())


def _family(kind: str) -> Table:
    registry = FAMILIES[kind]
    table = _table(f"{kind}s", "name", "options", "description", "reference")
    for name in registry:
        options = "\n".join(
            f"{kind}.{option.name}={_written(option.default)}" for option in registry.options(name).values()
        )
        _add(table, name, options, _first_line(registry[name]), registry.reference(name))
    return table


def _densities() -> Table:
    table = _table("densities fitted to codes (evaluate.densities)", "name", "description", "reference")
    for name, fit in DENSITIES.items():
        _add(table, name, _first_line(fit), fit.reference)
    return table


def _settings() -> Table:
    table = _table("settings", "name", "default", "description")
    _add_fields(table, "", Cell)
    for prefix, section in SECTIONS.items():
        _add_fields(table, f"{prefix}.", section)
    return table


def _add_fields(table: Table, prefix: str, schema: type[Settings]) -> None:
    for name, field in schema.model_fields.items():
        if name not in SECTIONS:
            default = field.get_default(call_default_factory=True)
            _add(table, prefix + (field.alias or name), _written(default), field.description or "")


def _written(default: Any) -> str:
    if default is Parameter.empty:
        return "(required)"
    if isinstance(default, Part):
        return default.name
    if isinstance(default, tuple):
        return f"[{','.join(map(str, default))}]" if len(default) != 1 else str(default[0])
    return "none" if default is None else str(default)


def _first_line(part: type) -> str:
    return (inspect.getdoc(part) or "").partition("\n\n")[0].replace("``", "").replace("\n", " ")
