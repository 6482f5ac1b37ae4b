"""Ranges of options: one law for every option of every part, called by hand or written in a configuration."""

import copy
from typing import Annotated, Any, get_args, get_origin

import pytest
import torch
from pydantic import Field, TypeAdapter
from pydantic.fields import FieldInfo

from models.context import Context
from models.options import Configurable, Count, Widths
from models.shapes import Shapes
from study.design.families import FAMILIES, NETWORKS, POSTERIORS
from study.design.parts import resolve
from study.errors import ConfigurationError

OPTIONS = [
    (kind, name, option.name, option.annotation, option.default)
    for kind, family in FAMILIES.items()
    for name in family
    for option in family.options(name).values()
]


def limits(annotation: Any) -> list[Any]:
    """The constraints of an annotation, by pydantic's names."""
    fields = [extra for extra in get_args(annotation)[1:] if isinstance(extra, FieldInfo)]
    return [constraint for field in fields for constraint in field.metadata]


def just_outside(annotation: Any) -> Any:
    """A value of the right type that the range forbids, or None where there is no range."""
    for limit in limits(annotation):
        match limit:
            case _ if hasattr(limit, "gt"):
                return float(limit.gt)
            case _ if hasattr(limit, "ge"):
                return limit.ge - 1
            case _ if hasattr(limit, "le"):
                return limit.le + 1
            case _ if hasattr(limit, "min_length"):
                return ()
    return None


def neighbours(kind: str) -> list[Context]:
    if kind in {"network", "objective", "dataset", "density"}:
        return []
    context = Context(Shapes((4,), (1, 8, 8)), NETWORKS["mlp"](hidden=(8,)), torch.rand(5, 1, 8, 8))
    return [context.with_posterior(POSTERIORS["diagonal_normal"](context))]


@pytest.mark.parametrize(("kind", "name", "option", "annotation", "default"), OPTIONS, ids=lambda v: str(v)[:20])
def test_every_option_has_a_range_that_holds_its_default_and_is_enforced(kind, name, option, annotation, default):
    TypeAdapter(annotation).validate_python(default, strict=True)
    if get_origin(annotation) is Annotated:
        value = just_outside(annotation)
        expected = rf"^{kind}\.{option}\b.*; got"
        with pytest.raises(ValueError, match=expected) as by_hand:
            FAMILIES[kind][name](*neighbours(kind), **{option: value})
        with pytest.raises(ConfigurationError, match=expected) as configured:
            resolve(kind, {"name": name, option: value})
        if kind != "density":  # analysis does not import models, and says it in pydantic's words
            says, also = (str(error.value).partition("; got")[0] for error in (by_hand, configured))
            assert says == also
    else:
        assert annotation not in {int, float}, f"{kind}.{option} of {name} is a number without a range"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"depth": 0}, "part.depth must be at least 1; got 0"),
        ({"depth": 2.5}, "part.depth must be a valid integer; got 2.5"),
        ({"depth": True}, "part.depth must be a valid integer; got True"),
        ({"share": 1.0}, "part.share must be below 1; got 1.0"),
        ({"share": float("nan")}, "part.share must be a finite number; got nan"),
        ({"share": float("inf")}, "part.share must be a finite number; got inf"),
        ({"widths": ()}, "part.widths must have at least one item; got ()"),
        ({"widths": (3, 0)}, "part.widths.1 must be at least 1; got 0"),
        ({"pair": (3,)}, "part.pair.1 is missing; got (3,)"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_sentence(options, says):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        Example(**options)
    assert str(error.value) == says


class Example(Configurable):
    family = "part"

    def __init__(
        self,
        *,
        depth: Count = 1,
        share: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        widths: Widths = (1,),
        pair: tuple[Count, Count] = (1, 2),
    ) -> None:
        self.depth, self.share, self.widths, self.pair = depth, share, widths, pair


def test_a_whole_number_is_a_number_and_a_copy_is_not_checked_again():
    part = Example(share=0)
    part.depth = -1
    assert copy.deepcopy(part).depth == copy.copy(part).depth == -1
    with pytest.raises(TypeError, match="widht"):
        Example(widht=3)
