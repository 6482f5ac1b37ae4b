"""What to do? Densities of the codes, fitted with the networks frozen, in the order of what they certify."""

from __future__ import annotations

from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding

QUESTION = "What to do?"


def findings(evidence: Evidence) -> list[Finding]:
    """Certified nats and squared Fréchet distance of each density, the most certified first."""
    lines = []
    for name, gap in evidence.ranking():
        realism = evidence(f"realism/{name}/squared_frechet")
        remark = f"squared Fréchet distance of its samples {Finding('', realism).number}" if realism else ""
        lines.append(Finding(f"sample from {name} in place of the prior: certified gain, nats", gap, remark))
    refused = set(evidence.rows("densities")) - {name for name, _ in evidence.ranking()}
    for name in sorted(refused):
        lines.append(Finding(f"{name} was not fitted", evidence(f"densities/{name}/certified_gap")))
    return lines
