"""The Jeffreys divergence, and its row on the page of methods."""

from ._extension import Addition, Extension

PAGE = "test_page_is_that_of_the_declarations"

SOUND = Addition(
    "jeffreys",
    "study/measurement/estimators/jeffreys.py",
    '''"""Jeffreys divergence: the sum of both directions."""

from __future__ import annotations

from analysis import divergence
from analysis.estimate import Estimate
from study.measurement.estimators import Quantity, estimator
from study.measurement.replicate import Split


@estimator(Quantity("jeffreys", "KL(q_N ‖ p) + KL(p ‖ q_N) = E t − E_p t"))
def jeffreys(split: Split) -> Estimate:
    """In nats; the normaliser of p cancels."""
    return Estimate.mean(split.draws.log_ratio - split.from_prior.log_ratio)
''',
)
EXTENSION = Extension(
    laws=("tests/study/measurement/test_estimators.py",),
    sound=SOUND,
    faulty={
        "with a bound that it does not have": SOUND.changed(
            ("jeffreys", "jeffreys_bound"), ('E_p t")', 'E_p t", "upper")')
        ),
        "that fails": SOUND.changed(("jeffreys", "jeffreys_failing"), ("Estimate.mean(", "0 * Estimate(")),
        "without its row on the page": SOUND.changed(("jeffreys", "jeffreys_unlisted"), noticed_by=PAGE),
    },
    of_all=(f"tests/study/measurement/test_methods.py::{PAGE}",),
    afterwards="study.measurement.methods",
)
