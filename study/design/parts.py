"""Part: the choice of one member of a family (prior, posterior, likelihood, network, objective, dataset), with options.

Written ``vamp``, or ``{name: vamp, components: 200}``. The options' schema is the constructor's signature: names,
types and defaults come from :class:`~study.design.registry.Registry`, ranges from the constructor itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from inspect import Parameter
from typing import Any

from pydantic import create_model
from pydantic_core import CoreSchema, core_schema

from study.design.families import FAMILIES
from study.design.registry import PartRefused, UnknownName
from study.design.settings import Settings, spelling, validated
from study.design.signature import Signature
from study.errors import ConfigurationError

GIVEN = "given"
"""Name, in every family, of a part that is not this project's: it came with a model that was handed over to be
diagnosed. It can be named and compared, and not be made."""


class _Given(Settings):
    """Description of a part that was handed over.

    of: what its owner calls it.
    """

    of: str = ""


def part_name(label: str) -> str:
    """Name of the part that has this :attr:`Part.label`.

    >>> part_name("gaussian_mixture[covariance=full]")
    'gaussian_mixture'
    """
    return label.partition("[")[0]


@dataclass(frozen=True, slots=True)
class Part:
    """One choice from a family with its options.

    kind: the family.
    name: of the part.
    items: every option with its value, defaults filled in.
    """

    kind: str
    name: str
    items: tuple[tuple[str, Any], ...]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the part's constructor."""
        return dict(self.items)

    @property
    def label(self) -> str:
        """The name, with those options that differ from their defaults: ``gaussian_mixture[covariance=full]``."""
        if self.name == GIVEN:
            return self.options["of"] or GIVEN
        options = FAMILIES[self.kind].options(self.name)
        changed = [(name, value) for name, value in self.items if value != options[name].default]
        texts = [f"{name}={value if isinstance(value, str) else spelling(value)}" for name, value in changed]
        return f"{self.name}[{','.join(texts)}]" if texts else self.name

    @property
    def definition(self) -> type[Any]:
        """The part's class; a part that was given has none here, which is a configuration error."""
        self._refuse_given()
        return FAMILIES[self.kind][self.name]

    @property
    def signature(self) -> Signature:
        """What the part's source says of it, which needs no import; as for its class, one that was given has none."""
        self._refuse_given()
        return FAMILIES[self.kind].signature(self.name)

    def create(self, *context: Any) -> Any:
        """The part itself; a value that its constructor refuses is a configuration error."""
        try:
            return self.definition(*context, **self.options)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def _refuse_given(self) -> None:
        if self.name == GIVEN:
            raise ConfigurationError(
                f"{self.kind}={GIVEN} stands for what `latent-study diagnose` was given; name one that can be made"
            )


@cache
def _schema(kind: str, name: str) -> type[Settings]:
    if name == GIVEN:
        return _Given
    options = FAMILIES[kind].options(name).values()
    fields = {o.name: (o.annotation, ... if o.default is Parameter.empty else o.default) for o in options}
    return create_model(name, __base__=Settings, **fields)  # type: ignore[call-overload]


def resolve(kind: str, value: Any) -> Part:
    """The part that a value denotes.

    kind: the family.
    value: a name, a mapping with a name, or a part.

    Raises ConfigurationError where there is no such part, or an option is not of its type and range.
    """
    if isinstance(value, Part):
        return value
    name, settings = (value.get("name"), value) if isinstance(value, Mapping) else (value, {})
    if not isinstance(name, str):
        raise ConfigurationError(f"{kind}: expected a name, or a mapping with a name; got {spelling(value)}")
    try:
        schema = _schema(kind, name)
    except (UnknownName, PartRefused) as error:
        raise ConfigurationError(str(error)) from error
    options = validated(schema, {key: item for key, item in settings.items() if key != "name"}, within=f"{kind}.")
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
