"""Parts: what one sees, what happens, what helps and how sure that is, from the levels of the shown cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from analysis.numerals import plain
from study.answers.conclusions.levels import Level, above, below, difference, level, share_closed, share_text
from study.answers.conclusions.phenomenon import Phenomenon
from study.answers.conclusions.repair import Repair, best
from study.answers.conclusions.statement import UNDECIDED, Part, Statement
from study.answers.conclusions.words import repair_name, subject
from study.answers.hypotheses import Case, Decision
from study.answers.hypotheses.h10_reductions import COLUMNS, REGIONS
from study.answers.results import Results, estimate_of

CODES = (
    "The encoder gives every image a distribution of points, its posterior, of which a code is a draw; the decoder "
    "turns points into pictures"
)
AGGREGATE = "those drawn from the aggregate, which is made of the codes of the training images"


def not_measured(results: Results) -> Statement:
    """That no distance of samples is there, with the reason that a cell gives.

    Args:
        results: cells without one.
    """
    if all(cell.settings.get("evaluate.samples") == 0 for cell in results):
        reason = "evaluate.samples is 0"
    else:
        found = (estimate_of(cell, "realism/prior/squared_frechet") for cell in results)
        flags = (str(flag) for estimate in found if estimate is not None for flag in estimate["flags"])
        reason = next((flag.removeprefix("refused: ") for flag in flags if flag.startswith("refused: ")), "")
    return Statement("How real the samples are was not measured", reason, decided=False)


def seen(phenomenon: Phenomenon, repair: Repair | None) -> Statement:
    """One sentence of what the strip of pictures shows, each clause by the rule that measures it.

    Args:
        phenomenon: the cell whose pictures they are.
        repair: the best of its prior; None where there is none.
    """
    what = subject(phenomenon.cell.settings["dataset"])
    clauses = [_reconstructions(phenomenon, what)]
    gap = phenomenon.gap
    if above(gap):
        far = "ratio" in phenomenon.observed
        worse = f"do not look like {what}" if far else "are less like real images than they could be"
        clauses.append(f"but samples of the prior {worse}" if far else f"samples of the prior {worse}")
        if repair and above(gain := difference(phenomenon.prior, repair.level)):
            clauses.append("samples of the repaired prior come closer")
        elif repair:
            clauses.append("no repair is better" if below(gain) else f"whether the repair is better {UNDECIDED}")
    elif below(gap):
        clauses.append("samples of the prior are no worse than pictures of the aggregate")
    else:
        clauses.append(f"whether samples of the prior are worse than pictures of the aggregate {UNDECIDED}")
    text = "; ".join([", ".join(clauses[:2]), *clauses[2:]])
    return Statement(text, decided=above(gap) or below(gap))


def _reconstructions(phenomenon: Phenomenon, what: str) -> str:
    if "error" in phenomenon.observed:
        return f"Reconstructions look like the {what} they are made from"
    reconstruction = level(phenomenon.cell, "reconstruction")
    if reconstruction and above(difference(phenomenon.prior, reconstruction)):
        return "Reconstructions are closer to real images than samples of the prior"
    return "Reconstructions are not faithful"


def what_happens(phenomenon: Phenomenon) -> Part:
    """The levels of prior and aggregate, and the observations of the question."""
    gap, real = phenomenon.gap, level(phenomenon.cell, "held_out")
    levels = f"prior {phenomenon.prior}, aggregate {phenomenon.aggregate}" + (f", real images {real}" if real else "")
    interval = f"; difference {gap}" if gap.n > 1 else ""
    if above(gap):
        text = f"Pictures of points drawn from the prior are further from real images than {AGGREGATE}"
    elif below(gap):
        text = f"Pictures of points drawn from the prior are closer to real images than {AGGREGATE}"
    else:
        text = f"Whether pictures of points drawn from the prior are worse than {AGGREGATE}, {UNDECIDED}"
    statements = [
        Statement(text, levels + interval, above(gap) or below(gap)),
        Statement(CODES),
    ]
    if above(gap):
        statements.append(Statement("The decoder is the same for both, so it is the points that differ"))
    return Part("What happens", (*statements, *_observations(phenomenon)))


def _observations(phenomenon: Phenomenon) -> Iterable[Statement]:
    """Each observation of the question that was measured: made in every training, or not."""
    texts = {
        "error": ("Reconstructions are faithful", "squared error per pixel"),
        "rms_loc": (
            "The means of the posteriors are close to zero, on average over dimensions",
            "root mean square of μ",
        ),
        "mean_scale": (
            "The posteriors are about as wide as the prior, on average over dimensions",
            "mean of σ",
        ),
        "agreement": (
            "Points around the mean of a posterior, as widely spread as the prior, decode to the class of its image",
            "share of them",
        ),
    }
    for name, (text, unit) in texts.items():
        table = Results((phenomenon.cell,)).values(COLUMNS[name])
        if len(table):
            fails = f"This does not hold in every training: {text[0].lower()}{text[1:]}"
            shown = text if name in phenomenon.observed else fails
            yield Statement(shown, f"{unit} {plain(table['value'].mean())}, counts if {_region(*REGIONS[name])}")


def _region(least: float, most: float) -> str:
    """Where an observation is made, in words."""
    if least < 0:
        return f"below {most:g}"
    return f"between {least:g} and {most:g}" if most < 9 else f"above {least:g}"


def what_helps(phenomenon: Phenomenon, repairs: Sequence[Repair]) -> Part:
    """The best of ``repairs`` by level, and those that do not count, or do not help.

    Args:
        phenomenon: the cell whose prior is repaired.
        repairs: all that were measured, the best level first.
    """
    repair = best(list(repairs))
    statements = []
    if repair is None:
        text = "No repair was compared" + (" that does more than repeat training images" if repairs else "")
        statements.append(Statement(text, decided=False))
    else:
        name, gain = repair_name(repair.treatment), difference(phenomenon.prior, repair.level)
        share = share_closed(phenomenon.prior, repair.level, phenomenon.aggregate)
        closed = (
            f"; share of the difference closed {share_text(share)}"
            if above(phenomenon.gap) and not share.reason
            else ""
        )
        numbers = f"{repair.level} for {phenomenon.prior}, aggregate {phenomenon.aggregate}{closed}"
        if above(gain):
            text = f"Drawing points from {name} gives pictures that are closer to real images"
        elif below(gain):
            text = f"None helps: pictures from the best, {name}, are further from real images than those of the prior"
        else:
            text = f"Whether the best of the repairs, {name}, gives better pictures {UNDECIDED}"
        statements.append(Statement(text, numbers, above(gain) or below(gain)))
        if repair.aggregate and repair.treatment.treated is not phenomenon.cell:
            statements.append(_own_aggregate(phenomenon, repair.aggregate))
    copies = [each for each in repairs if each.treatment.repeats]
    if copies:
        names = " and ".join(dict.fromkeys(repair_name(each.treatment) for each in copies))
        numbers = ", ".join(str(each.level) for each in copies)
        statements.append(Statement(f"Not counted, since they repeat training images: {names}", numbers))
    worse = [each for each in repairs if above(difference(each.level, phenomenon.prior))]
    if worse and repair not in worse:
        names = "; ".join(dict.fromkeys(repair_name(each.treatment) for each in worse))
        numbers = ", ".join(str(each.level) for each in worse)
        statements.append(Statement(f"These make it worse: {names}", numbers))
    return Part("What helps", tuple(statements))


def _own_aggregate(phenomenon: Phenomenon, aggregate: Level) -> Statement:
    """Whether a prior learned with the networks costs quality of the codes themselves."""
    change = difference(aggregate, phenomenon.aggregate)
    numbers = f"aggregate {aggregate} for {phenomenon.aggregate}"
    if above(change):
        return Statement("The codes of the networks trained with it decode worse", numbers)
    if below(change):
        return Statement("The codes of the networks trained with it decode better", numbers)
    return Statement(
        f"Whether the codes of the networks trained with it decode worse {UNDECIDED}", numbers, decided=False
    )


def _claims(cases: Sequence[Case]) -> Statement:
    """How the claims were decided that there are cells for; what is true by construction is no evidence."""
    claims = [case for case in cases if case.hypothesis.family != "check"]
    judged = [case for case in claims if case.verdict.rule is not None]
    counts = Counter(case.verdict.decision for case in judged)
    numbers = ", ".join(f"{counts[decision]} {decision}" for decision in get_args(Decision))
    absent = len(claims) - len(judged)
    return Statement(
        "The claims of the study that these cells can be asked about were each judged by a rule",
        numbers + (f"; {absent} more would need other cells" if absent else ""),
    )


def how_sure(
    phenomenon: Phenomenon | None, parts: Sequence[Part], cases: Sequence[Case], left_out: Mapping[Path, str]
) -> Part:
    """Trainings and images behind the answer, and what was not decided.

    Args:
        phenomenon: the cell that the answer is about; None where the quality of samples was not measured.
        parts: the other parts of the answer.
        cases: hypotheses with their verdicts.
        left_out: the reason of each stored cell that could not be read, by its folder.
    """
    statements = []
    if phenomenon:
        seeds = phenomenon.gap.n
        text = (
            "Differences are taken training by training, and count where their interval, drawn twice as wide, still "
            "leaves zero out"
            if seeds > 1
            else "One training has no spread to compare with, so no difference is decided here"
        )
        table = estimate_of(phenomenon.cell, "realism/prior/squared_frechet")
        images = "" if table is None else f", {int(table['n'].max())} pictures of each kind"
        numbers = f"{seeds} training{'s' if seeds != 1 else ''}{images}; 95 % intervals; ± is one standard error"
        statements.append(Statement(text, numbers))
    undecided = [each for part in parts for each in part.statements if not each.decided]
    number = sum(len(part.statements) for part in parts)
    if undecided:
        statements.append(
            Statement(
                "Some statements above are not decided by these cells, and say so", f"{len(undecided)} of {number}"
            )
        )
    if left_out:
        numbers = "; ".join(f"{place.name}: {reason}" for place, reason in left_out.items())
        statements.append(Statement("Stored results that could not be read are left out", numbers, decided=False))
    if cases:
        statements.append(_claims(cases))
    return Part("How sure", tuple(statements))
