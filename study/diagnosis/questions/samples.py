"""Does the mismatch matter for samples: how far from real images is what each source decodes to?"""

from __future__ import annotations

from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding

QUESTION = "Does it matter for samples?"

_FIRST = ("held_out", "reconstruction", "aggregate_train", "mean_normal", "prior")


def findings(evidence: Evidence) -> list[Finding]:
    """Squared Fréchet distances of sources, and what lies between prior and aggregate; none without a decoder."""
    rows = evidence.rows("realism")
    if not rows:
        return []
    named = [name for name in _FIRST if name in rows]
    lines = [
        Finding(f"squared Fréchet distance to real images, {name}", evidence(f"realism/{name}/squared_frechet"))
        for name in [*named, *(name for name in rows if name not in _FIRST)]
    ]
    prior, aggregate = (evidence.number(f"realism/{name}/squared_frechet") for name in ("prior", "aggregate_train"))
    error = evidence("aggregate/held_out/reconstruction_error")
    gap = Finding(f"gap: prior less aggregate {prior - aggregate:.4g}", None, "what a density of the codes could win")
    return [Finding("squared error of reconstructions per pixel, held out", error), *lines, gap]
