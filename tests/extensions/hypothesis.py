"""A hypothesis beside its world."""

from ._extension import Addition, Extension

CLAIM = '''r"""H20: every dimension is used.

Rule, before any run: the effect is the mean of active units over D. Supported if it is above 0.9, refuted if below.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, by_family, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results


@final
class Use(Hypothesis[pd.DataFrame]):
    """Active units over the latent dimension."""

    id = "H20"
    claim = "Every latent dimension is used."
    caption = (
        "Active units over the latent dimension D, against D, of every cell with the standard prior, from 0 to 1; "
        "means over seeds with 95 % intervals (Student-t), seeds as dots. At 1 every dimension is used."
    )
    needs = Needs("Cells with the standard prior", {"latent_dim": (2, 8)})

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        lines = alike(results.plain(), active="aggregate/train/active_units")
        return lines.assign(share=lines["active"] / lines["latent_dim"])

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        shares = by_replicate(evidence, mean_of("share"))
        return conclude([Criterion.of_mean("share of active units", shares, least=0.9)], scope(evidence))

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (axes,) = marks.panels(1)
        for label, cell in by_family(evidence):
            marks.means(axes, cell, "latent_dim", "share", label)
        marks.axis_labels(axes, "latent dimension D", "active units over D")
        return figure
'''

WORLD = '''"""World of H20."""

from ._estimates import aggregate


def truth(cell, holds):
    return aggregate(active_units=cell.latent_dim * (1.0 if holds else 0.5)), {}
'''

HYPOTHESIS = "study/answers/hypotheses/h20_use.py"
WITH_WORLDS = "test_every_hypothesis_that_rests_on_cells_has_its_worlds"

SOUND = Addition("h20_use", HYPOTHESIS, CLAIM, {"tests/study/answers/hypotheses/worlds/h20_use.py": WORLD})
EXTENSION = Extension(
    laws=("tests/study/answers/hypotheses/test_worlds.py", "tests/study/answers/hypotheses/test_laws.py"),
    sound=SOUND,
    faulty={
        "not decided by the cells it needs": SOUND.changed(("active_units=", "idle_units=")),
        "of another rule than its world": SOUND.changed(("h20", "h21"), ("H20", "H21"), ("least=0.9", "most=0.9")),
        "without a world": Addition(
            "h22_use", HYPOTHESIS.replace("h20", "h22"), CLAIM.replace("H20", "H22"), noticed_by=WITH_WORLDS
        ),
    },
    of_all=(f"tests/study/answers/hypotheses/test_worlds.py::{WITH_WORLDS}",),
)
