"""Tables: quantities chosen, spread over columns, and written for LaTeX."""

import math

import pandas as pd
import pytest

from analysis.summaries import ONE_SEED, as_text, latex, over_seeds, select, spread


def line(dim, quantity, mean, error=0.1, flags=""):
    where = {"prior": "vamp", "latent_dim": dim, "group": "aggregate", "row": "train", "quantity": quantity}
    return where | {"mean": mean, "standard_error": error, "flags": flags}


TABLE = pd.DataFrame([line(32, "kl", 2.0), line(2, "kl", 1.0, flags="saturated"), line(2, "log_px_10", -9.5)])


def test_seeds_are_combined_by_student_t():
    found = over_seeds([1.0, 2.0, 3.0], [9.0, 9.0, 9.0])
    assert found.value == 2.0
    assert found.standard_error == pytest.approx(1 / math.sqrt(3))
    assert found.upper - found.value == pytest.approx(4.30265273 / math.sqrt(3))


def test_a_single_seed_has_its_own_error_and_refused_ones_do_not_count():
    found = over_seeds([math.nan, 2.0], [math.nan, 0.5])
    assert (found.value, found.standard_error, found.n) == (2.0, 0.5, 1)
    assert found.upper == pytest.approx(2 + 1.959963985 * 0.5)
    assert math.isnan(over_seeds([math.nan], [math.nan]).value)


def test_quantities_are_chosen_by_name_and_pattern():
    assert list(select(TABLE, ["kl"])["latent_dim"]) == [32, 2]
    assert list(select(TABLE, ["log_px_*"])["quantity"]) == ["log_px_10"]
    with pytest.raises(ValueError, match="'kk', which matches none of kl, log_px_10"):
        select(TABLE, ["kl", "kk"])


def test_a_table_is_spread_with_dimensions_in_order_and_gaps_marked():
    wide = spread(TABLE, "latent_dim")
    assert list(wide.columns) == ["prior", "group", "row", "quantity", "2", "32"]
    assert list(wide["2"]) == ["1.00 ± 0.10*", "−9.50 ± 0.10"]
    assert list(wide["32"]) == ["2.00 ± 0.10", "–"]
    with pytest.raises(ValueError, match="expected one of prior, latent_dim"):
        spread(TABLE, "flags")


def test_text_has_two_digits_of_the_error_and_a_star_for_real_flags():
    assert as_text(line(2, "kl", 1.23456, 0.0123)) == "1.235 ± 0.012"
    assert as_text(line(2, "kl", 1.23456, 0.0, ONE_SEED)) == "1.23"
    assert as_text(line(2, "kl", math.nan)) == "–"


def test_latex_is_escaped():
    text = latex(spread(TABLE, "latent_dim"))
    assert r"log\_px\_10" in text
    assert r"1.00 $\pm$ 0.10*" in text
    assert text.startswith(r"\begin{tabular}")
