"""Does the mismatch matter for samples: how far from real images is what each source decodes to?"""

from __future__ import annotations

from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding

QUESTION = "Does it matter for samples?"

SOURCES = {
    "held_out": "real images among themselves",
    "reconstruction": "reconstructions",
    "local": "N(μ(x), I) around each code",
    "aggregate_train": "the aggregate q_N",
    "prior": "the prior",
    "mean_normal": "the prior moved to the mean of the codes",
    "mean_variance_normal": "the same with the variances of the codes",
}
"""Sources that are shown, by what they are called, in order; densities follow, and a summary has the others."""


def findings(evidence: Evidence) -> list[Finding]:
    """Squared Fréchet distances of sources, and what lies between prior and aggregate; none without a decoder."""
    rows = evidence.rows("realism")
    if not rows:
        return []
    named = {name: words for name, words in SOURCES.items() if name in rows}
    named |= {name: f"{name}, fitted to the codes" for name in evidence.rows("densities") if name in rows}
    lines = [
        Finding(f"squared Fréchet distance to real images, {words}", evidence(f"realism/{name}/squared_frechet"))
        for name, words in named.items()
    ]
    prior, aggregate = (evidence.number(f"realism/{name}/squared_frechet") for name in ("prior", "aggregate_train"))
    error = evidence("aggregate/held_out/reconstruction_error")
    gap = Finding(f"gap: prior less aggregate {prior - aggregate:.4g}", None, "what a density of the codes could win")
    return [Finding("squared error of reconstructions per pixel, held out", error), *lines, gap]
