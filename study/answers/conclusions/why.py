"""Why: what putting one thing right does in the shown cell, and what its controls do that differ from it in one thing.

Nothing here says that something is the cause: each sentence says what changed when one thing was changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from analysis.numerals import plus_minus
from analysis.summaries import over_seeds
from study.answers.conclusions.levels import Level, above, below, difference, level, share_closed, share_text
from study.answers.conclusions.phenomenon import Phenomenon
from study.answers.conclusions.statement import UNDECIDED, Part, Statement
from study.answers.conclusions.words import PUT_RIGHT, objective_name
from study.answers.results import Results, StoredCell

NEGLIGIBLE = 0.05
"""Share of the difference between prior and aggregate below which a change of it is called next to nothing."""

HARDLY = 0.1
"""Distance of an area under the curve from ½ within which norms hardly tell two laws apart."""


def why(phenomenon: Phenomenon, results: Results) -> Part:
    """Repairs of single properties first, then controls, then what is known of norms and of dimensions in use.

    Args:
        phenomenon: the cell in which one thing is changed.
        results: of the same data set, for the controls.
    """
    if not above(phenomenon.gap):
        nothing = (
            "There is no such difference to explain here" if below(phenomenon.gap) else f"A difference {UNDECIDED}"
        )
        return Part("Why", (Statement(nothing, decided=below(phenomenon.gap)),))
    statements = [*_put_right(phenomenon), *_controls(phenomenon, results), *_norms(phenomenon), *_in_use(phenomenon)]
    none = Statement("Nothing was measured that tells reasons apart", decided=False)
    return Part("Why", tuple(statements) or (none,))


def _put_right(phenomenon: Phenomenon) -> list[Statement]:
    """What putting one thing right changes: what closes some of the difference comes first."""
    closing: list[Statement] = []
    others: list[Statement] = []
    for source, text in PUT_RIGHT.items():
        reached = level(phenomenon.cell, source)
        if reached is None:
            continue
        share = share_closed(phenomenon.prior, reached, phenomenon.aggregate)
        negligible = above(share, -NEGLIGIBLE) and below(share, NEGLIGIBLE)
        if negligible:
            effect = "changes next to nothing of the difference"
        elif above(share, 0.5):
            effect = "closes most of the difference"
        elif above(share) and below(share, 0.5):
            effect = "closes less than half of the difference"
        elif above(share):
            effect = f"closes a part of the difference, and whether it is most of it {UNDECIDED}"
        elif below(share):
            effect = "makes the difference larger"
        elif share.lower > 0:
            effect = f"may close a part of the difference, which {UNDECIDED}"
        else:
            effect = "has no effect that is decided here"
        numbers = f"{phenomenon.prior} becomes {reached}, aggregate {phenomenon.aggregate}; share {share_text(share)}"
        statement = Statement(f"{text} {effect}", numbers, negligible or above(share) or below(share))
        (closing if above(share) and not negligible else others).append(statement)
    return closing + others


def _controls(phenomenon: Phenomenon, results: Results) -> Iterator[Statement]:
    for change, detail, other in _others(phenomenon.cell, results):
        prior, aggregate = level(other, "prior"), level(other, "aggregate_train")
        if not (prior and aggregate):
            continue
        on_prior, on_aggregate = _direction(phenomenon.prior, prior), _direction(phenomenon.aggregate, aggregate)
        if on_prior == on_aggregate:
            text = f"pictures of the prior and of the aggregate are both {on_prior}"
        else:
            text = f"pictures of the prior are {on_prior}, and pictures of the aggregate are {on_aggregate}"
        if on_prior == on_aggregate == _OPEN:
            text = "no change is decided here"
        numbers = f"prior {prior} for {phenomenon.prior}, aggregate {aggregate} for {phenomenon.aggregate}"
        yield Statement(f"With {change}, {text}", f"{detail}; {numbers}", _OPEN not in (on_prior, on_aggregate))


_OPEN = "not decidedly closer to real images or further from them"


def _direction(shown: Level, other: Level) -> str:
    """Direction of ``other`` from ``shown``."""
    change = difference(other, shown)
    if above(change):
        return "further from real images"
    return "closer to real images" if below(change) else _OPEN


def _others(cell: StoredCell, results: Results) -> Iterator[tuple[str, str, StoredCell]]:
    """Each change in words and in numbers, with the cell that differs in nothing else."""
    own = cell.settings

    def family(*factors: str) -> list[StoredCell]:
        members = next(family for family in results.partition(*factors) if cell in family.cells)
        return [other for other in members if other is not cell]

    for other in family("objective"):
        name = other.settings["objective"]
        yield f"{objective_name(name)} instead of {objective_name(own['objective'])}", name, other
    lengths = sorted(family("updates"), key=lambda other: other.settings["updates"])
    for other in lengths[-1:] if lengths else []:
        updates = other.settings["updates"]
        longer = "longer" if updates > own["updates"] else "shorter"
        yield f"{longer} training", f"{updates:,} updates for {own['updates']:,}", other
    shapes = sorted(family("latent", "latent_dim"), key=lambda other: other.settings["latent_dim"])
    equal = [other for other in shapes if other.settings["latent_dim"] == own["latent_dim"]]
    for other in equal[:1]:
        yield f"{_kind(other)} of as many dimensions", f"{own['latent_dim']} dimensions", other
    for other in shapes[:1]:
        dim = other.settings["latent_dim"]
        if dim != own["latent_dim"]:
            fewer = "fewer" if dim < own["latent_dim"] else "more"
            yield f"{_kind(other)} of {fewer} dimensions", f"{dim} dimensions for {own['latent_dim']}", other


def _kind(cell: StoredCell) -> str:
    return "a feature map" if "x" in cell.settings["latent"] else "a vector"


def _norms(phenomenon: Phenomenon) -> Iterator[Statement]:
    found = phenomenon.cell.numbers("aggregate/train/norm_auc")
    if found is None:
        return
    area = over_seeds(*found.T)
    if not math.isfinite(area.value):
        return
    numbers = f"area under the curve {area}; a half tells nothing"
    what = "The distance from the centre"
    if above(area, 0.5 - HARDLY) and below(area, 0.5 + HARDLY):
        yield Statement(f"{what} hardly tells codes from points of the prior", numbers)
    elif above(area, 0.5 + HARDLY) or below(area, 0.5 - HARDLY):
        yield Statement(f"{what} tells codes from points of the prior", numbers)
    else:
        text = f"Whether the distance from the centre tells codes of this model from points of the prior {UNDECIDED}"
        yield Statement(text, numbers, decided=False)


def _in_use(phenomenon: Phenomenon) -> Iterator[Statement]:
    found = phenomenon.cell.numbers("aggregate/train/active_units")
    if found is None:
        return
    number, dim = over_seeds(*found.T), phenomenon.cell.settings["latent_dim"]
    if math.isfinite(number.value):
        most = "Most dimensions respond" if number.value > dim / 2 else "Most dimensions do not respond"
        yield Statement(
            f"{most} to the image", f"{plus_minus(number.value, number.standard_error)} of {dim:,} dimensions"
        )
