"""Page: one HTML file that needs nothing else: no network, no second file, and nothing in it that is not escaped.

Its content security policy allows images from data URIs and the one style and one script whose hashes it names, so that
even markup that slipped through could neither run nor fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from jinja2.environment import TemplateStream
from markupsafe import Markup

from analysis.numerals import duration, plain, probability, three_places, with_interval
from analysis.rank_plot import predictions
from study.answers.effects import OUTCOMES, TOGETHER, stored_effects
from study.answers.hypotheses import Case, Group, Verdict
from study.answers.matrix import matrix
from study.answers.remedies import POOLED
from study.answers.report.chapter import Chapter, dimension
from study.answers.report.claims import claims
from study.answers.report.explorer import panels
from study.answers.report.overview import (
    CaptionedFigure,
    along_training,
    caption,
    estimates,
    headline,
    information,
    remedies,
)
from study.answers.report.picture import Picture
from study.answers.report.reproduction import reproduction
from study.answers.report.strip import strip
from study.errors import EnvironmentFault
from study.files import replacing, sweep

FOLDER = files("study.answers.report")

QUESTION = "Why does a VAE reconstruct well and sample badly?"

GROUPS: dict[Group, tuple[str, str]] = {
    "picture": ("The picture", "Are codes thin bubbles in a wide prior, and what follows from that alone?"),
    "cause": ("The cause", "What goes with bad samples?"),
    "cure": ("The cure", "What makes samples better?"),
}
"""Title and question of each group of hypotheses, in the order of the page."""


def write_page(chapters: Sequence[Chapter], path: Path) -> Path:
    """Writes the page of ``chapters`` to ``path``, which it gives.

    Raises:
        EnvironmentFault: if it cannot be written.
    """
    page = _stream(chapters)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name, older_than=3600.0)
        with replacing(path) as aside:
            page.dump(str(aside), "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror or error}; choose another --output") from error
    return path


def render(chapters: Sequence[Chapter]) -> str:
    """The page as text."""
    return "".join(_stream(chapters))


def _stream(chapters: Sequence[Chapter]) -> TemplateStream:
    """The page piece by piece: that of ten thousand cells is tens of megabytes long."""
    style, script = (FOLDER.joinpath(name).read_text("utf-8") for name in ("style.css", "script.js"))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "number": plain,
        "effect": _effect,
        "chance": _chance,
        "share": three_places,
        "duration": duration,
        "slug": _slug,
        "prose": _prose,
    }
    template = environment.from_string(FOLDER.joinpath("template.html.j2").read_text("utf-8"))
    return template.stream(
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        question=QUESTION,
        chapters=[_chapter(chapter) for chapter in chapters],
        matrix=matrix({chapter.dataset: chapter.cases for chapter in chapters}) if len(chapters) > 1 else [],
        effects=_effects(chapters, TOGETHER) if len(chapters) > 1 else [],
        version=importlib.metadata.version("latent-study"),
        written=datetime.now(UTC).isoformat(timespec="minutes"),
        pooled=POOLED,
    )


def policy(style: str, script: str) -> str:
    """The content security policy of a page that has this ``style`` and this ``script`` and nothing from elsewhere."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _chapter(chapter: Chapter) -> dict[str, Any]:
    """Values of the template's fields for a chapter."""
    phenomenon = chapter.conclusion.phenomenon
    chosen = phenomenon.cell if phenomenon else chapter.baseline[-1]
    return {
        "dataset": chapter.dataset,
        "conclusion": chapter.conclusion,
        "strip": strip(chapter.conclusion),
        "headline": _pictures(headline(chapter)),
        "information": _pictures(information(chapter)),
        "estimates": _pictures([*estimates(chapter), *along_training(chapter)]),
        "remedies": _pictures(remedies(chapter)),
        "remedy_table": _lines(chapter.remedies),
        "attribution": _lines(chapter.attribution),
        "partial": chapter.is_partial,
        "leaves_out": chapter.leaves_out,
        "groups": _grouped(chapter.cases.values()),
        "claims": {each.name: each.picture() for each in claims(chapter)},
        "effects": _effects([chapter], chapter.dataset),
        "panels": panels(chapter),
        "labels": sorted({chapter.labels[cell.key] for cell in chapter.shown}),
        "chosen": chapter.labels[chosen.key],
        "place": chapter.shown.levels("latent_dim").index(dimension(chosen)),
        "dimensions": chapter.shown.levels("latent_dim"),
        "numbers": {str(label): _lines(table) for label, table in chapter.shown_numbers.groupby("prior", sort=False)},
        "reproduction": reproduction(chapter),
    }


def _effects(chapters: Iterable[Chapter], dataset: str) -> list[dict[str, Any]]:
    """The regressions of ``dataset`` that were kept beside the studies of ``chapters``: what was regressed, the
    coefficients, and the figure of the leave-one-out predictions."""
    folders = [part.store.root for chapter in chapters for cell in chapter.results for part in cell.stored]
    shown = []
    for table, pit in stored_effects(folders, dataset):
        outcome = OUTCOMES[table["outcome"].iloc[0]]
        title = f"Leave-one-out predictions of {outcome}"
        figure = predictions(*(pit[name].to_numpy() for name in ("level", "share", "lower", "upper")))
        drawn = CaptionedFigure("loo_pit", title, figure, caption(predictions))
        shown.append({"outcome": outcome, "lines": _lines(table), "figures": _pictures([drawn])})
    return shown


def _grouped(cases: Iterable[Case]) -> list[tuple[str, str, list[Case]]]:
    """Title, question and cases of each group that has any."""
    members: dict[Group, list[Case]] = {name: [] for name in GROUPS}
    for case in cases:
        members[case.hypothesis.group].append(case)
    return [(*GROUPS[name], of_group) for name, of_group in members.items() if of_group]


def _pictures(figures: Iterable[CaptionedFigure]) -> list[Picture]:
    return [figure.picture() for figure in figures]


def _effect(verdict: Verdict) -> str:
    """``effect: value [lower, upper]``; empty without a value, or where the reason has told it."""
    if not math.isfinite(verdict.value) or verdict.why.startswith(verdict.effect):
        return ""
    return f"{verdict.effect}: {with_interval(verdict.value, *verdict.interval)}"


def _chance(verdict: Verdict) -> str:
    """The confidence level of the region that the claim names, and the p-value; empty where the verdict has none."""
    parts = {
        "confidence level of the region that the claim names, no posterior probability:": (verdict.probability, 2),
        "p-value": (verdict.p_value, 3),
        "p-value adjusted over the primary claims": (verdict.adjusted, 3),
    }
    return "; ".join(f"{name} {probability(*each)}" for name, each in parts.items() if math.isfinite(each[0]))


def _lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, line, strict=True)) for line in table.itertuples(index=False)]


def _prose(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    plain, code = Markup("{}"), Markup("<code>{}</code>")
    return Markup("").join((code if index % 2 else plain).format(part) for index, part in enumerate(text.split("`")))


def _slug(text: str) -> str:
    """A name fit for an HTML id."""
    return "".join(letter if letter.isalnum() else "-" for letter in text)
