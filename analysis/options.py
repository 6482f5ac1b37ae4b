"""Options of density fits: the ranges that stand in their types."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]
Positive = Annotated[float, Field(gt=0)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
"""One or more sizes, among which a fit chooses."""
Factors = Annotated[tuple[Positive, ...], Field(min_length=1)]
"""One or more positive factors, among which a fit chooses."""
