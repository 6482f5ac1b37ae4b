"""Measure: every estimate of one replicate that the settings ask for, from the estimators that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from analysis.density_fits import FittedDensity
from analysis.estimate import Estimate
from analysis.mixtures import Candidate, MixtureSelection, select_gaussian_mixture
from analysis.tree import Measured, Records
from models.vae import VAE
from study.design.cell import MIXTURES, Evaluate
from study.measurement.classifier import Unclassifiable
from study.measurement.densities import Fitted, fitted
from study.measurement.estimators import Subject, Table, asked
from study.measurement.images import ImageData
from study.measurement.records import records
from study.measurement.replicate import Replicate
from study.measurement.samples import Reference, Samples, samples


@torch.no_grad()
def measure(
    vae: VAE,
    data: ImageData,
    grey: ImageData,
    evaluate: Evaluate,
    *,
    seed: int,
    heartbeat: Callable[[], None] = lambda: None,
) -> Measured:
    """Every estimate of one replicate.

    Args:
        vae: trained, in evaluation mode.
        data: the images as measured, binarised.
        grey: the same images on the scale of likelihood means.
        evaluate: what is asked for.
        seed: index of the replicate, which is the whole of the randomness.
        heartbeat: called between estimates and within long ones; what it raises ends the measurement.
    """
    replicate = Replicate(vae, data, grey, evaluate, seed=seed, heartbeat=heartbeat)
    measuring = Measuring(replicate)
    for _ in measuring.steps():
        pass
    measured = measuring.result()
    replicate.close()
    return measured


class Measuring:
    """The measurement of one replicate, one estimator after the other, so that what is done can be kept.

    Args:
        replicate: what is measured.
    """

    def __init__(self, replicate: Replicate) -> None:
        self.replicate = replicate
        self.step = ""
        self.densities: dict[str, Fitted] = {}
        self._tables: dict[Table, dict[str, dict[str, Estimate]]] = {"aggregate": {}, "realism": {}, "densities": {}}
        self._candidates: Sequence[Candidate] = ()
        self._records: Mapping[str, Records] = {}

    @torch.no_grad()
    def steps(self) -> Iterator[str]:
        """Does one step at a time, and names it once it is done; ``step`` names it from before its first heartbeat."""
        replicate = self.replicate
        yield from self._fill("aggregate", replicate.splits)
        fits = fitted(replicate)
        for part in replicate.evaluate.densities:
            self.step = f"density {part.label}"
            self.densities[part.label] = next(fits)
            yield self.step
        yield from self._fill("densities", self.densities)
        self.step = "samples"
        sources = _sources(replicate, self.densities)
        yield self.step
        yield from self._fill("realism", sources)
        if MIXTURES not in replicate.evaluate.omit:
            self.step = MIXTURES
            self._candidates = _mixtures(replicate).candidates
            yield self.step
        self.step = "records"
        self._records = records(replicate, sources)
        yield self.step

    def _fill(self, table: Table, subjects: Mapping[str, Subject]) -> Iterator[str]:
        for name, subject in subjects.items():
            row = self._tables[table].setdefault(name, {})
            for estimator in asked(table, subject):
                self.step = f"{name}: {estimator.quantities[0].name}"
                self.replicate.heartbeat()
                row |= estimator.estimates(subject)
                yield self.step

    def result(self) -> Measured:
        """Results of the steps that were done."""
        tables = {str(name): rows for name, rows in self._tables.items() if rows}
        return Measured(tables=tables, mixtures=self._candidates, records=self._records)


def _sources(replicate: Replicate, densities: dict[str, Fitted]) -> dict[str, Samples]:
    """The samples of every source, where they are asked for and there are classes to judge them by."""
    if not replicate.evaluate.samples or isinstance(replicate.space, Unclassifiable):
        return {}
    fits = {name: each.fit for name, each in densities.items() if isinstance(each.fit, FittedDensity)}
    return samples(Reference(replicate, replicate.space), fits)


def _mixtures(replicate: Replicate) -> MixtureSelection:
    evaluate = replicate.evaluate
    return select_gaussian_mixture(
        replicate.train.codes.z.flatten(1),
        replicate.held_out.codes.z.flatten(1),
        evaluate.components,
        evaluate.covariances,
        generator=replicate.stream("mixtures"),
        rank=evaluate.rank,
    )
