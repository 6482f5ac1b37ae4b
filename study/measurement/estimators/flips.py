"""Label flips: how much noise about its code an image bears before it becomes one of another class.

The noise is s ε about the mean μ(x) of held-out images, ε ~ N(0, I), at several scales s.
"""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.geometry.margins import label_flip_bounds, label_flip_rate
from analysis.realism.labels import label_agreement as agreement
from study.measurement.estimators import CLASSES, Quantity, estimator
from study.measurement.samples import Samples
from study.measurement.sources import local_sample

NOISE_SCALES = (0.5, 1.0, 2.0, 4.0)
RECONSTRUCTION = 0.0
"""The scale at which the image is the decoded mean: no noise can do better."""


@estimator(
    Quantity(
        "label_agreement_<s>",
        "share of decode(μ(x) + sε) that the classifier gives the label of x",
        limits="beside its ceilings `label_agreement_0`, of reconstructions, and `label_agreement_real`",
    ),
    Quantity("label_agreement_real", "the same of the real images x", limits="the accuracy of the classifier"),
    table="realism",
    rows=("local",),
    needs=(CLASSES,),
)
def label_agreement(samples: Samples) -> dict[str, Estimate]:
    reference, classifier = samples.reference, samples.classifier
    real = classifier.probabilities(reference.start.held_out_images)
    agreements = {"label_agreement_real": agreement(real, reference.labels)}
    for scale in (RECONSTRUCTION, *NOISE_SCALES):
        generator = samples.replicate.stream("label agreement", f"{scale:g}")
        images, rows = local_sample(samples.replicate.vae, reference.codes.loc, scale, 1, generator)
        probabilities = classifier.probabilities(images)
        agreements[f"label_agreement_{scale:g}"] = agreement(probabilities, reference.labels[rows], rows)
    return agreements


@estimator(
    Quantity(
        "predicted_flips_<s>",
        "share of μ(x) + sε whose nearest centre has another label",
        limits="nearest centres, no decoder",
    ),
    Quantity(
        "predicted_flips_upper_<s>",
        "E min(1, Σ_{j: another label} Φ(−‖μᵢ − μⱼ‖/2s))",
        "upper",
        "upper end of `predicted_flips_<s>`",
        "a union bound: loose where many centres are near",
    ),
    table="realism",
    rows=("local",),
    needs=(CLASSES,),
)
def predicted_flips(samples: Samples) -> dict[str, Estimate]:
    loc, labels, flips = samples.reference.codes.loc, samples.reference.labels, {}
    for scale, bound in zip(NOISE_SCALES, label_flip_bounds(loc, labels, NOISE_SCALES), strict=True):
        generator = samples.replicate.stream("predicted flips", f"{scale:g}")
        flips[f"predicted_flips_{scale:g}"] = label_flip_rate(loc, labels, scale, 1, generator)
        flips[f"predicted_flips_upper_{scale:g}"] = bound
    return flips
