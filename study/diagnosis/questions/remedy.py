"""What to do? Densities of the codes, fitted with the networks frozen, in the order of what they certify."""

from __future__ import annotations

import math
from dataclasses import replace

from study.diagnosis.evidence import Evidence, repeats_training
from study.diagnosis.questions._finding import Finding
from study.diagnosis.questions.mismatch import certified

QUESTION = "What to do?"


def findings(evidence: Evidence) -> list[Finding]:
    """Certified nats, squared Fréchet distance and cost of each density, the most certified first; where nothing is
    certified, the prior comes before all of them. An interrupted diagnosis gives no advice."""
    lines = []
    if evidence.interrupted:
        lines.append(Finding("not decided: the diagnosis was interrupted before all densities were compared"))
    elif not certified(evidence):
        lines.append(Finding("keep the prior: held-out codes certify no density that is better than it"))
    for name, gap in evidence.ranking():
        realism = evidence(f"realism/{name}/squared_frechet")
        remarks = [f"squared Fréchet distance of its samples {Finding('', realism).number}"] if realism else []
        remarks += _cost(evidence, name)
        if repeats_training(name):
            remarks.append("its draws are codes of training observations, slightly moved")
        better = gap.interval().lower > 0 and certified(evidence)
        advice = name if evidence.interrupted else f"sample from {name} in place of the prior"
        text = advice if better else f"{name}, not shown to be better"
        gain = replace(gap, bound="unbiased")  # of the evidence lower bound; of KL(q_∞ ‖ p) it is a lower end
        lines.append(Finding(f"{text}: gain on held-out codes, nats", gain, "; ".join(remarks)))
    refused = set(evidence.rows("densities")) - {name for name, _ in evidence.ranking()}
    for name in sorted(refused):
        lines.append(Finding(f"{name} was not fitted", evidence(f"densities/{name}/certified_gap")))
    return lines


def _cost(evidence: Evidence, name: str) -> list[str]:
    if "costs" not in evidence.tree.children:
        return []
    cost = evidence.tree["costs"].to_dataset().isel(chain=0).sel(density=name)
    seconds, numbers, codes = (float(cost[part]) for part in ("seconds", "numbers", "num_codes"))
    size = "" if math.isnan(numbers) else f", {numbers:,.0f} numbers"
    num = evidence("aggregate/train/log_n")
    few = f", fitted to {codes:,.0f} of {num.n:,} codes" if num is not None and codes < num.n else ""
    return [f"cost {seconds:.3g} s of processor time{size}{few}"]
