r"""H22: the mean of the codes is the optimum and no error of amortisation: the decoder wants to be told where it is.

Under N(0, I) the mean m of the aggregate posterior costs ½‖m‖² nats an image. Three reasons for paying them can be told
apart by what is changed, all else equal:

    the encoder gives a worse q(z|x) than there is: μ and σ of single images are refined, all networks as they are
    the encoder cannot give a mean that it does not make of the image: it has a free bias for each place
    a decoder of convolutions does not know where in the map it is: it has a learned constant for each place

With ‖m̃‖² the squared length of the mean of refined codes, the effects are the ratios ‖m̃‖²/‖m‖² within a cell, and
½‖m‖² with the free bias, and with the constant, over ½‖m‖² without them. The constant takes nothing from the model but
the reason to pay: N(m, I) before a decoder is N(0, I) before the same decoder with m added to its input.

Rule, before any run: (written on 2026-11-26; a later change is an amendment with its date.) Over cells with the
standard prior and posterior under the summed loss whose latent is a map C × h × w, at every training length:
supported if refinement leaves more than half of ‖m‖², the free bias leaves more than half of ½‖m‖², and the constant
leaves less than half of it (ratios of means over seeds with Fieller's interval); refuted if one of the three lies
outside; undecided where one is open, or where one cell says the opposite of another. The free bias may well raise the
offset, for which there is no upper end. What the constant leaves of the prior's gap in quality is reported and decides
nothing: it belongs to the question whether the offset matters (H20), and not to where it comes from.
"""

from __future__ import annotations

from typing import NamedTuple, final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, by_family, families, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of, ratio_over_seeds
from study.answers.hypotheses._needs import Map, Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

HALF = 0.5
PLACE = "network.place"
PLACES = {"none": "plain", "encoder": "free bias\nof the encoder", "decoder": "constant before\nthe decoder"}
"""Positions of a learned number per place, with their names in the figure."""


class Offsets(NamedTuple):
    """Squared offsets of the codes.

    refined: of each plain cell ``offset`` and ``refined``, ‖m‖² of the same images before and after.
    places: of cells that differ in PLACE alone ``offset``, ½‖m‖² in nats, and the prior's ``gap`` in quality, NaN where
        no samples were judged.
    """

    refined: pd.DataFrame
    places: pd.DataFrame


@final
class Offset(Hypothesis[Offsets]):
    """The mean of the codes after refinement, with a free bias of the encoder, and with a decoder that knows places."""

    id = "H22"
    group = "cause"
    claim = "The mean of the codes is no error of the encoder: it tells a convolutional decoder where in the map it is."
    caption = (
        "Left: nats ½‖m‖² that the mean m of the training codes costs under N(0, I), in cells whose latent is a map, "
        "with a free bias per place on the mean that the encoder gives, and with a learned constant per place before "
        "the decoder; dots are seeds. Right: share of ‖m‖² that remains where μ and σ of single images are refined "
        "with the networks as they are, over all cells and by cell, with Fieller's 95 % interval; the claim is the "
        "shaded region."
    )
    needs = Needs(
        "Maps with the standard prior, with and without a learned number per place, whose codes were refined",
        {"latent_dim": (Map(64),), PLACE: tuple(PLACES), "train.updates": (220, 880)},
        {"network": {"name": "spatial", "channels": (16, 32)}, "evaluate.refinement": 200},
    )

    @override
    def evidence(self, results: Results) -> Offsets:
        plain, index = results.plain(), ["key", "replicate"]
        refined = alike(plain, offset="aggregate/train/offset", refined="aggregate/train/offset_refined")
        places = families(plain, PLACE, offset="aggregate/train/kl_mean")
        refined, places = (lines[lines["latent"].astype(str).str.contains("x")] for lines in (refined, places))
        refined, places = refined[refined[PLACE] == "none"], places[places[PLACE].isin(PLACES)]
        if refined.empty or set(PLACES) - set(places[PLACE]):
            raise MissingCells(
                f"no cells with a C×h×w latent whose codes were refined, beside others that differ in {PLACE} alone"
            )
        worst, best = (
            plain.values(frechet(source)).set_index(index)["value"] for source in ("prior", "aggregate_train")
        )
        return Offsets(refined, places.join((worst - best).rename("gap"), on=index))

    @override
    def decide(self, evidence: Offsets) -> Verdict:
        refined, places = evidence
        free, told = (
            Criterion.of_ratio(effect, _of(places, place, "offset"), _of(places, "none", "offset"), **region)
            for effect, place, region in (
                ("½‖m‖² with a free bias of the encoder over that without", "encoder", {"least": HALF}),
                ("½‖m‖² with a constant per place before the decoder over that without", "decoder", {"most": HALF}),
            )
        )
        notes = []
        if places["gap"].notna().all():
            gap = ratio_over_seeds(_of(places, "decoder", "gap"), _of(places, "none", "gap"))
            notes.append(f"gap in quality of the prior with that constant over that without: {gap}")
        return conclude([_kept(refined), free, told], scope(pd.concat([refined, places])), notes=notes)

    @override
    def draw(self, evidence: Offsets) -> Figure:
        figure, (left, right) = marks.panels(2, width=4.6, height=marks.forest_height(evidence.refined))
        for label, family in by_family(evidence.places):
            ticks = [list(PLACES).index(place) for place in family[PLACE]]
            left.plot(ticks, family["offset"], **marks.dots(label))
        left.set_xticks(range(len(PLACES)), list(PLACES.values()))
        left.set_ylim(bottom=0.0)
        marks.axis_labels(left, "", "½‖m‖², nats")
        marks.legend(left)
        marks.forest(right, _kept(evidence.refined))
        return figure


def _kept(refined: pd.DataFrame) -> Criterion:
    after, before = (by_replicate(refined, mean_of(column)) for column in ("refined", "offset"))
    return Criterion.of_ratio("share of ‖m‖² that refined codes keep", after, before, least=HALF)


def _of(places: pd.DataFrame, place: str, column: str) -> pd.DataFrame:
    """The mean of ``column`` where PLACE is ``place``, families × replicates."""
    return by_replicate(places, lambda part: float(part.loc[part[PLACE] == place, column].mean()))
