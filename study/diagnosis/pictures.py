"""Pictures of a diagnosis: what each source of latents decodes to, and in which dimensions the mismatch sits."""

from __future__ import annotations

from analysis.dimension_plot import by_place, by_rank
from study.answers.conclusions.words import REPAIRED
from study.answers.report.picture import Picture
from study.answers.report.strip import REPAIRED_PRIOR, TILES, Tile, tile
from study.diagnosis.evidence import Evidence
from study.diagnosis.questions import Finding


def strip(evidence: Evidence) -> list[Tile]:
    """The tiles of the answer page for this model, the repaired prior last; none without a decoder."""
    if "samples" not in evidence.tree.children:
        return []
    samples = evidence.tree["samples"].to_dataset()
    wanted = [(source, *words) for source, words in TILES.items()]
    if (repaired := evidence.repaired()) is not None:
        wanted.append((repaired, REPAIRED_PRIOR, REPAIRED.get(repaired, f"the density {repaired} fitted to the codes")))
    tiles = (tile(samples, *each, level(evidence, each[0])) for each in wanted)
    return [each for each in tiles if each is not None]


def level(evidence: Evidence, source: str) -> str:
    """Squared Fréchet distance of the images of ``source`` to real ones with its error, by ``evidence``; empty where it
    has none."""
    estimate = evidence(f"realism/{source}/squared_frechet")
    return "" if estimate is None or estimate.is_refused else Finding("", estimate).number


def figures(evidence: Evidence) -> list[Picture]:
    """Nats of single dimensions by rank, and of the places of a map; none where they were not measured."""
    mean, variance = (evidence.record("dimensions", f"kl_{part}") for part in ("mean", "variance"))
    if mean is None or variance is None:
        return []
    words = (by_rank.__doc__ or "").partition("\n\n")[0]
    pictures = [Picture.of_figure(by_rank(mean, variance), "Nats of single dimensions", "Dimensions by rank", words)]
    shape = evidence.latent_shape
    if len(shape) == 3:
        words = (by_place.__doc__ or "").partition("\n\n")[0]
        places = (mean + variance).reshape(shape).sum(0)
        pictures.append(Picture.of_figure(by_place(places), "Nats by place", "Places of the map", words))
    return pictures
