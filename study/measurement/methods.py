"""Methods: the page that says what each number is, made of the declarations of estimators and sources.

python -m study.measurement.methods     writes them into analysis/METHODS.md, between its two marks
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import ModuleType

import analysis
import study.measurement.sources
from study.measurement.discovery import modules
from study.measurement.estimators import Estimator, Quantity, registered
from study.measurement.sources import registered as sources

PAGE = Path(next(iter(analysis.__path__))) / "METHODS.md"
BEGIN = (
    "<!-- From here to the mark below the declarations of the estimators, written by: "
    "python -m study.measurement.methods -->"
)
END = "<!-- End of the declarations. -->"

TABLES = {
    "aggregate": "Of each split: the training images, or the held-out ones",
    "realism": "Of each source of samples",
    "densities": "Of each density fitted to codes",
}
"""Meaning of the rows of each table of estimates."""

RELATION = {"lower": "lower end", "upper": "upper end"}
"""How a bound is written; the others are their own words."""


def page(text: str) -> str:
    """``text`` with all that stands between the marks written anew.

    Raises:
        ValueError: where ``text`` lacks a mark.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected the two marks once each in {PAGE.name}; put them back: {BEGIN} and {END}")
    before, rest = text.split(BEGIN)
    return "\n\n".join([before + BEGIN, *_parts(), END + rest.split(END)[1]])


def _parts() -> Iterator[str]:
    for table, rows in TABLES.items():
        yield f"## {rows}"
        of_table = [(module, estimator) for module, estimator in registered() if estimator.table == table]
        for module, group in groupby(of_table, key=lambda pair: pair[0]):
            yield from _section(module, [estimator for _, estimator in group])
    yield "## Sources of samples"
    yield "\n\n".join(inspect.cleandoc(study.measurement.sources.__doc__ or "").split("\n\n")[2:])
    yield _sources()


def _section(module: ModuleType, estimators: list[Estimator]) -> Iterator[str]:
    """Name and docstring of a module, and the table of what it declares."""
    path = module.__name__.replace(".", "/")
    yield f"### {path.rpartition('/')[2].replace('_', ' ').capitalize()} (`{path}.py`)"
    yield inspect.cleandoc(module.__doc__ or "")
    head = "| name | formula | bias | limits |\n|---|---|---|---|"
    yield "\n".join([head, *(_row(quantity) for estimator in estimators for quantity in estimator.quantities)])


def _row(quantity: Quantity) -> str:
    relation = quantity.bias or RELATION.get(quantity.bound, quantity.bound)
    cells = [f"`{quantity.name}`", quantity.formula, relation, quantity.limits]
    return _cells(cells)


def _sources() -> str:
    texts = {
        m.__name__.rpartition(".")[2]: inspect.cleandoc(m.__doc__ or "")
        for m in modules(study.measurement.sources.__name__)
    }
    head = "| source | called | z | what it is |\n|---|---|---|---|"
    rows = [
        _cells([f"`{name}`", source.title, source.formula, " ".join(texts[name].split())])
        for name, source in sources().items()
    ]
    return "\n".join([head, *rows])


def _cells(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
