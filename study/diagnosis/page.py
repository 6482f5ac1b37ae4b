"""Page of a diagnosis: its findings as one HTML file, in the style of the answer page and as closed as it is."""

from __future__ import annotations

import importlib.metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from study.answers.report.page import FOLDER, policy
from study.diagnosis.pictures import figures, strip
from study.diagnosis.questions.place import QUESTION as PLACE
from study.diagnosis.symbols import SYMBOLS
from study.errors import EnvironmentFault
from study.files import replacing


def write_page(answer: Any, path: Path) -> Path:
    """Writes the page of ``answer``, an :class:`~study.diagnosis.answer.Answer`, to ``path``, which it gives.

    Raises:
        EnvironmentFault: where it cannot be written.
    """
    style = FOLDER.joinpath("style.css").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(files("study.diagnosis").joinpath("page.html.j2").read_text("utf-8"))
    text = template.render(
        answer=answer,
        strip=strip(answer.evidence),
        figures={PLACE: figures(answer.evidence)},
        latent=answer.details["latent_shape"].replace("x", " × "),
        symbols=SYMBOLS,
        policy=policy(style, ""),
        style=Markup(style),
        version=importlib.metadata.version("latent-study"),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            aside.write_text(text, "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    return path
