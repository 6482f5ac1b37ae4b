"""Statement: a plain sentence with the numbers behind it, which stand in brackets after it and never inside it."""

from __future__ import annotations

from dataclasses import dataclass

UNDECIDED = "is not decided here"


@dataclass(frozen=True, slots=True)
class Statement:
    """A plain sentence.

    text: the sentence, without its full stop and without numbers.
    numbers: what it rests on, for the brackets; empty where it needs none.
    decided: whether the intervals decide what it is about.
    """

    text: str
    numbers: str = ""
    decided: bool = True

    def __str__(self) -> str:
        return f"{self.text} [{self.numbers}]." if self.numbers else f"{self.text}."


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the answer.

    title: What happens, Why, What helps or How sure.
    statements: those that tell most come first.
    """

    title: str
    statements: tuple[Statement, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.statements))
