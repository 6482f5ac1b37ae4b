"""Options of density fits: the ranges that stand in their types."""

from typing import Annotated

from pydantic import Field

LARGEST_COUNT = 1_000_000_000
"""Largest number of components, units, images."""

LARGEST_REPEATS = 10_000
"""Largest number of times that work is repeated without more parameters: starts, epochs."""

LARGEST_WIDTH = 10_000
"""Largest number of units of a layer, or of latent dimensions of a fit."""

Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Repeats = Annotated[int, Field(ge=1, le=LARGEST_REPEATS)]
Width = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]
AtLeastTwo = Annotated[int, Field(ge=2, le=LARGEST_COUNT)]
Positive = Annotated[float, Field(gt=0)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
"""One or more sizes, among which a fit chooses."""
Factors = Annotated[tuple[Positive, ...], Field(min_length=1)]
"""One or more positive factors, among which a fit chooses."""
