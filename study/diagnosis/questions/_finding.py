"""Finding: one line of a diagnosis: what, how much, how sure, and what to know before it is used."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    text: what it is.
    estimate: the number with its error and flags; None where the text says all.
    remark: what follows from it, or what it is to be compared with.
    """

    text: str
    estimate: Estimate | None = None
    remark: str = ""

    @property
    def number(self) -> str:
        """The number with its error; empty where there is none. A divergence is at least 0 anyway: a lower end that is
        not above 0 says so."""
        if self.estimate is None:
            return ""
        if self.estimate.bound == "exact" and not self.estimate.is_refused:
            value = self.estimate.value
            return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
        if self.estimate.is_refused:
            return "–"
        number = str(self.estimate).partition(" [")[0]
        if self.estimate.bound == "lower" and self.estimate.value <= 0:
            return f"no lower bound above 0 ({number.removeprefix('≥ ')})"
        return number

    @property
    def flags(self) -> str:
        """Cautions in the use of the number."""
        return "" if self.estimate is None else "; ".join(self.estimate.flags)

    def __str__(self) -> str:
        number = f": {self.number}" if self.number else ""
        remark = f"; {self.remark}" if self.remark else ""
        return f"{self.text}{number}{remark}{f' [{self.flags}]' if self.flags else ''}"
