"""Options of parts: their ranges as types, checked once for every part of every family.

An option is a typed keyword-only argument of a part's constructor. Its range is a part of its type,

    def __init__(self, context: Context, *, components: Count = 50, scale: Positive = 1.0) -> None: ...

so that a study's configuration, the listing of options and a constructor called by hand know the same range.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

LARGEST_COUNT = 1_000_000_000
"""Largest count in an option or a setting: of components, epochs, images."""

LARGEST_REPEATS = 10_000
"""Largest number of times that work is repeated without more parameters: steps of a solver, draws for each image."""

LARGEST_SCALE = 1e30
"""Largest scale or rate, well inside the range of single precision, which ends at 3e38."""

Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Repeats = Annotated[int, Field(ge=1, le=LARGEST_REPEATS)]
AtLeastTwo = Annotated[int, Field(ge=2, le=LARGEST_COUNT)]
Positive = Annotated[float, Field(gt=0, le=LARGEST_SCALE)]
NonNegative = Annotated[float, Field(ge=0, le=LARGEST_SCALE)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1)]
"""Units of one or more layers."""

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Configurable:
    """Base of the families whose parts have options; ``family`` is their name in a configuration.

    Constructing a part whose option is not of its type, or out of its range, raises a ValueError that names the option,
    what was expected and what came. Relations between options, and between options and shapes, are for constructors.

    >>> class Dropout(Configurable):
    ...     family = "layer"
    ...     def __init__(self, *, rate: Annotated[float, Field(ge=0, lt=1)] = 0.5) -> None:
    ...         self.rate = rate
    >>> Dropout(rate=0.1).rate
    0.1
    >>> Dropout(rate=1.0)
    Traceback (most recent call last):
    ...
    ValueError: layer.rate must be below 1; got 1.0
    """

    family: ClassVar[str]

    # Before the constructor, which could take memory; copies of a part are made without options and not checked again.
    def __new__(cls, *_context: Any, **options: Any) -> Self:  # noqa: D102
        for name, adapter in _adapters(cls.__init__).items():
            if name in options:
                _check(f"{cls.family}.{name}", adapter, options[name])
        return super().__new__(cls)

    @property
    def name(self) -> str:
        """The part's name in a configuration: the stem of its file."""
        return type(self).__module__.rpartition(".")[2]


def requirement(error: Mapping[str, Any]) -> str:
    """Requirement on a value, in words that follow its name: ``must be at least 1``.

    error: one entry of ``ValidationError.errors()`` of pydantic.
    """
    if error["type"] in _WORDS:
        return _WORDS[error["type"]](**error.get("ctx", {}))
    return error["msg"].replace("Input should", "must")


_WORDS: dict[str, Callable[..., str]] = {
    "greater_than": lambda gt: "must be positive" if gt == 0 else f"must exceed {gt:g}",
    "greater_than_equal": lambda ge: "must not be negative" if ge == 0 else f"must be at least {ge:g}",
    "less_than": lambda lt: f"must be below {lt:g}",
    "less_than_equal": lambda le: f"must be at most {le:g}",
    "too_short": lambda min_length, **_: (
        f"must have at least {'one item' if min_length == 1 else f'{min_length} items'}"
    ),
    "missing": lambda: "is missing",
}


def _check(name: str, adapter: TypeAdapter[Any], value: Any) -> None:
    try:
        adapter.validate_python(value)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        address = ".".join((name, *map(str, error["loc"])))
        raise ValueError(f"{address} {requirement(error)}; got {error['input']!r}") from None


@cache
def _adapters(constructor: Callable[..., None]) -> dict[str, TypeAdapter[Any]]:
    """Validator of each option of ``constructor``, by name."""
    hints = get_type_hints(constructor, include_extras=True)
    options = [p.name for p in inspect.signature(constructor).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return {name: TypeAdapter(hints[name], config=_STRICT) for name in options if name in hints}
