"""Part: the choice of one member of a family (prior, posterior, likelihood, network, objective, dataset), with options.

Written ``vamp``, or ``{name: vamp, components: 200}``. The options' schema is the constructor's signature: names,
types and defaults come from :class:`~models.registry.Registry`, ranges from the constructor itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from inspect import Parameter
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import CoreSchema, core_schema

from models.likelihoods import LIKELIHOODS
from models.networks import NETWORKS
from models.objectives import OBJECTIVES
from models.posteriors import POSTERIORS
from models.priors import PRIORS
from models.registry import PartRefused, Registry, UnknownName
from study.data import DATASETS
from study.errors import ConfigurationError

FAMILIES: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (PRIORS, POSTERIORS, LIKELIHOODS, NETWORKS, OBJECTIVES, DATASETS)
}


class Settings(BaseModel):
    """Frozen, strict, and without room for a misspelt name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def validated[Model: BaseModel](schema: type[Model], values: Mapping[str, Any], within: str = "") -> Model:
    """``values`` as ``schema``; the first thing wrong with them as one sentence, under its dotted name."""
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
    message = _MESSAGES.get(first["type"], first["msg"].removeprefix("Value error, "))
    raise ConfigurationError(f"{name}: {message[0].lower()}{message[1:]}; got {_shown(first['input'])}")


_MESSAGES = {
    "tuple_type": "expected a list in brackets, such as [400, 400]",
    "model_type": "expected settings of its own, not a value",
    "too_short": "expected at least one item",
}


def _shown(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


@dataclass(frozen=True, slots=True)
class Part:
    """Family, name, and every option of that part, defaults filled in."""

    kind: str
    name: str
    items: tuple[tuple[str, Any], ...]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the part's constructor."""
        return dict(self.items)

    def create(self, *context: Any) -> Any:
        """The part itself; a value that its constructor refuses is a configuration error."""
        try:
            return FAMILIES[self.kind][self.name](*context, **self.options)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error


@cache
def _schema(kind: str, name: str) -> type[Settings]:
    options = FAMILIES[kind].options(name).values()
    fields = {o.name: (o.annotation, ... if o.default is Parameter.empty else o.default) for o in options}
    return create_model(name, __base__=Settings, **fields)  # type: ignore[call-overload]


def resolve(kind: str, value: Any) -> Part:
    """The part that ``value`` (a name, a mapping with a name, or a part) denotes within family ``kind``."""
    if isinstance(value, Part):
        return value
    name, given = (value.get("name"), value) if isinstance(value, Mapping) else (value, {})
    if not isinstance(name, str):
        raise ConfigurationError(f"{kind}: expected a name, or a mapping with a name; got {_shown(value)}")
    try:
        schema = _schema(kind, name)
    except (UnknownName, PartRefused) as error:
        raise ConfigurationError(str(error)) from error
    options = validated(schema, {key: item for key, item in given.items() if key != "name"}, within=f"{kind}.")
    return Part(kind, name, tuple((field, getattr(options, field)) for field in schema.model_fields))


def _flat(part: Part) -> dict[str, Any]:
    return {"name": part.name, **part.options}


@dataclass(frozen=True, slots=True)
class Member:
    """Annotation of a field that holds a part of one family: ``prior: Annotated[Part, Member("prior")]``."""

    kind: str

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        flat = core_schema.plain_serializer_function_ser_schema(_flat)
        return core_schema.no_info_plain_validator_function(partial(resolve, self.kind), serialization=flat)
