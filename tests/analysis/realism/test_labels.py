"""Label statistics of hand-made class distributions."""

import math

import pytest
import torch

from analysis.realism.labels import class_entropy, confidence, label_agreement, sample_entropy

CERTAIN = torch.eye(4, dtype=torch.float64)


def test_agreement_counts_images_and_not_draws():
    labels = torch.tensor([0, 1, 2, 0])
    assert label_agreement(CERTAIN, labels).value == 0.75
    repeated = label_agreement(CERTAIN.repeat_interleave(5, 0), labels.repeat_interleave(5))
    grouped = label_agreement(
        CERTAIN.repeat_interleave(5, 0), labels.repeat_interleave(5), torch.arange(4).repeat_interleave(5)
    )
    assert grouped.value == repeated.value == 0.75
    assert (grouped.n, grouped.num_draws) == (4, 20)
    assert grouped.standard_error == pytest.approx(label_agreement(CERTAIN, labels).standard_error, rel=1e-12)


def test_entropies_of_certain_and_of_uniform_classes():
    uniform = torch.full((6, 4), 0.25, dtype=torch.float64)
    assert class_entropy(CERTAIN).value == pytest.approx(math.log(4), rel=1e-12)
    assert sample_entropy(CERTAIN).value == 0.0
    assert confidence(CERTAIN).value == 1.0
    assert class_entropy(uniform).value == sample_entropy(uniform).value == pytest.approx(math.log(4), rel=1e-12)
    assert confidence(uniform).value == 0.25
    assert class_entropy(CERTAIN[:1].repeat(9, 1)).value == 0.0


def test_class_entropy_error_is_the_spread_over_repetitions():
    """One-hot draws of (0.7, 0.2, 0.1): Var Ĥ = Var(ln p_c)/M to first order."""
    law = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    drawn = law.multinomial(400 * 300, replacement=True, generator=torch.Generator().manual_seed(0)).view(300, 400)
    estimates = [class_entropy(torch.eye(3, dtype=torch.float64)[classes]) for classes in drawn]
    values = torch.tensor([estimate.value for estimate in estimates], dtype=torch.float64)
    entropy = float(torch.special.entr(law).sum())
    spread = math.sqrt(float((law * law.log().square()).sum() - entropy**2) / 400)
    # The spread of 300 repetitions is known to 4 %; the bias −(C − 1)/2M is 0.0025.
    assert float(values.std()) == pytest.approx(spread, rel=0.2)
    assert estimates[0].standard_error == pytest.approx(spread, rel=0.2)
    assert abs(float(values.mean()) - entropy + 2 / 800) < 5 * spread / math.sqrt(300)
