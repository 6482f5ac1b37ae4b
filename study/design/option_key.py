"""Option key: what a dotted key such as ``prior.components`` or ``evaluate.densities.flow.patience`` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from study.design.cell import Cell
from study.design.families import FAMILIES
from study.design.parts import Part, resolve
from study.errors import ConfigurationError

SEVERAL = "evaluate.densities"
"""The setting that chooses several parts; an option of one of them is ``evaluate.densities.<part>.<option>``."""


class OptionKey(NamedTuple):
    """An option of a part under its dotted key.

    kind: the part's family.
    setting: the setting that chooses the part, or several parts.
    part: which of several it belongs to; empty where the setting chooses one.
    name: the option's own name.
    """

    kind: str
    setting: str
    part: str
    name: str

    def fits(self, part: Part) -> bool:
        """Whether a part has the option."""
        return part.name == (self.part or part.name) and self.name in part.options


def option_key(key: str) -> OptionKey | None:
    """The option that a ``key`` names; None for a setting."""
    head, _, name = key.partition(".")
    if key.startswith(f"{SEVERAL}."):
        part, _, name = key.removeprefix(f"{SEVERAL}.").partition(".")
        return OptionKey("density", SEVERAL, part, name)
    return OptionKey(head, head, "", name) if name and head in FAMILIES and head in Cell.model_fields else None


def denoted(option: OptionKey, value: Any) -> list[Part]:
    """The parts that a value of an option's setting denotes.

    option: of one or of several parts.
    value: of ``option.setting``.

    Raises ConfigurationError where the setting chooses several parts and the value is no list.
    """
    if not option.part:
        return [resolve(option.kind, value)]
    if isinstance(value, str | Mapping):
        raise ConfigurationError(f"{option.setting}: expected a list in brackets, such as [flow]; got {value!r}")
    return [resolve(option.kind, item) for item in value]


def chosen_parts(cell: Cell, kind: str) -> Sequence[Part]:
    """The parts of one family that a cell uses.

    cell: the configuration.
    kind: the family.
    """
    return cell.evaluate.densities if kind == "density" else (getattr(cell, kind),)
