"""Reconstruction: how far decode(μ(x)) is from x, on the scale on which a reader looks at pictures."""

from __future__ import annotations

from analysis.estimate import Estimate
from study.images import ImageData
from study.measurement.replicate import Replicate, encode
from study.measurement.sources import decode

IMAGES = 2_000


def estimates(replicate: Replicate, grey: ImageData) -> dict[str, dict[str, Estimate]]:
    """Mean squared error per pixel of E[x | z = μ(x)] against the grey images, by split."""
    splits = {
        "train": (replicate.train.images, grey.images),
        "held_out": (replicate.held_out.images, grey.held_out_images),
    }
    errors = {}
    for name, (images, targets) in splits.items():
        loc, _ = encode(replicate.vae, images[:IMAGES])
        squared = (decode(replicate.vae, loc).double() - targets[:IMAGES].double()).square()
        errors[name] = {"reconstruction_error": Estimate.mean(squared.flatten(1).mean(1))}
    return errors
