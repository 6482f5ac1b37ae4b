"""Answer: the question, and three lines that these results give, each composed from their own verdicts and numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import get_args

from analysis.interval import Interval
from study.answers.hypotheses import Decision
from study.answers.remedies import KINDS, POOLED
from study.answers.report.chapter import Chapter, dimension, measured, quality_gap
from study.answers.results import StoredCell

QUESTION = "Why does a VAE reconstruct well and sample badly?"
EXPLAINED = (
    "With a large latent space a variational autoencoder reconstructs its images well, and yet decoding z ~ N(0, I) "
    "gives strokes where decoding N(μ(x), I) gives the digit. Is it that thin bubbles around the codes miss the prior, "
    "the more so the higher the dimension?"
)

INTUITION = ("H7", "H5", "H2", "H3", "H4")
"""Claims that bear on the asker's intuition: that the bubbles miss the prior, and that thinness, shells, or being
disjoint is why samples are bad."""


def answer(chapter: Chapter) -> tuple[str, str, str]:
    """What happens, why, and what helps: plain text of a sentence or two each."""
    return _what_happens(chapter), _why(chapter), _what_helps(chapter)


def _what_happens(chapter: Chapter) -> str:
    cells = chapter.baseline
    observations = [text for cell in dict.fromkeys((cells[-1], cells[0])) if (text := _observed(cell))]
    if not observations:
        return "Neither mismatch nor sample quality was measured."
    brackets = "Distance is squared Fréchet distance; brackets are 95 % intervals over seeds."
    return f"With the prior {cells[0].settings['prior']}, {'; '.join(observations)}. {brackets}"


def _observed(cell: StoredCell) -> str:
    """Mismatch and quality gap of a cell; empty where neither was measured."""
    rate, mismatch = (measured(cell, f"aggregate/train/{name}") for name in ("rate", "kl"))
    gap = quality_gap(cell)
    parts = []
    if rate and mismatch:
        parts.append(f"KL(q_N ‖ p) is {_with_interval(mismatch)} nats at a rate of {_number(rate.value)}")
    if gap:
        beyond = "" if gap.lower > 0 or gap.upper < 0 else ", which is not distinguishable from 0"
        parts.append(f"samples of p are {_with_interval(gap)} further from real images than samples of q_N{beyond}")
    return f"at D = {dimension(cell)} {' and '.join(parts)}" if parts else ""


def _why(chapter: Chapter) -> str:
    cases = chapter.cases
    if not cases:
        return "No claim was judged."
    counts = Counter(case.verdict.decision for case in cases.values())
    decided = [cases[name] for name in INTUITION if name in cases and cases[name].verdict.decision != "undecided"]
    on_bubbles = [
        f"“{case.hypothesis.claim.rstrip('.')}” is {case.verdict.decision} ({case.hypothesis.id})" for case in decided
    ]
    head = f"Of {len(cases)} claims, {', '.join(f'{counts[decision]} {decision}' for decision in get_args(Decision))}"
    if not on_bubbles:
        return f"{head}; those on the bubbles themselves ({', '.join(INTUITION)}) are all undecided by these cells."
    return f"{head}. On the bubbles: {'; '.join(on_bubbles)}."


def _what_helps(chapter: Chapter) -> str:
    table = chapter.remedies
    if table.empty:
        return "No remedy was compared: that takes the standard prior beside others, or densities fitted to its codes."
    scope = POOLED if (table["latent_dim"] == POOLED).any() else table["latent_dim"].max()
    where = "over all latent dimensions" if scope == POOLED else f"at D = {scope}"
    known = table[(table["latent_dim"] == scope) & table["share"].notna()]
    if known.empty:
        return f"No remedy can be ranked {where}: {_joined(table[table['latent_dim'] == scope]['flag'])}."
    best = known.iloc[0]
    share = Interval(best["share"], best["lower"], best["upper"], best["seeds"])
    kind = f"another {best['kind']}" if best["kind"] in KINDS else f"an {best['kind']}"
    certain = known[known["lower"] > 0]
    return (
        f"Of {len(known)} remedies, {best['remedy']} ({kind}) closes the largest share of the quality gap {where}: "
        f"{_with_interval(share)}; {len(certain)} of them close more than nothing at 95 %."
    )


def _joined(flags: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(flag for flag in flags if flag)) or "nothing was measured"


def _with_interval(interval: Interval) -> str:
    if not math.isfinite(interval.lower):
        return f"{_number(interval.value)} (one seed)"
    return f"{_number(interval.value)} [{_number(interval.lower)}, {_number(interval.upper)}]"


def _number(value: float) -> str:
    return f"{value:.2g}".replace("-", "−") if abs(value) < 100 else f"{value:.0f}".replace("-", "−")
