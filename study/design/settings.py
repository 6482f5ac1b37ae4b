"""Settings: the base of everything that a user may write, and the one sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from models.options import requirement
from study.design.registry import UnknownName
from study.errors import ConfigurationError


class Settings(BaseModel):
    """Frozen, strict, and without room for a misspelt name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def validated[Model: BaseModel](schema: type[Model], values: Mapping[str, Any], within: str = "") -> Model:
    """Values as a model; the first thing wrong with them is one sentence.

    schema: the model.
    values: by name.
    within: the dotted name before theirs, with its full stop.

    Raises ConfigurationError where they do not fit.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
    path = [str(step) for step in first["loc"]]
    name = within + ".".join(path)
    if first["type"] == "extra_forbidden":
        field = schema.model_fields.get(path[0])
        section = field.annotation if len(path) > 1 and field else schema
        known = [item.alias or key for key, item in section.model_fields.items()]  # type: ignore[union-attr]
        prefix = name.removesuffix(path[-1])
        raise ConfigurationError(str(UnknownName("setting", name, [prefix + key for key in known])))
    if first["type"] == "missing":
        raise ConfigurationError(f"{name} has no default; give it a value")
    value = spelling(first["input"])
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{name}: {message[0].lower()}{message[1:]}; got {value}")
    raise ConfigurationError(f"{name} {_REQUIREMENTS.get(first['type']) or requirement(first)}; got {value}")


_REQUIREMENTS = {
    "tuple_type": "must be a list in brackets, such as [400, 400]",
    "model_type": "must be settings of its own, not a value",
}


def spelling(value: Any) -> str:
    """A value as a user would have written it."""
    return repr(list(value) if isinstance(value, tuple) else value)
