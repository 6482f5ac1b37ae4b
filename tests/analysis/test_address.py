"""Address: group/row/quantity, there and back."""

import pytest

from analysis.address import Address
from analysis.layout import ROWS
from analysis.summaries import OVERVIEW
from study.answers.comparison import BESIDE
from study.answers.report.explorer import FACTS


@pytest.mark.parametrize("text", ["aggregate/train/kl", "realism/prior/squared_frechet", "densities/flow/log_px_10"])
def test_text_is_parsed_in_one_order_and_given_back(text):
    address = Address.parse(text)
    assert address.group in ROWS
    assert [address.group, address.row, address.quantity] == text.split("/")
    assert str(address) == text
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", sorted({*OVERVIEW.values(), *FACTS.values(), *BESIDE.values()}))
def test_what_tables_and_panels_ask_for_are_addresses_of_estimates(text):
    assert Address.parse(text).group in ROWS


@pytest.mark.parametrize("text", ["", "kl", "train/kl", "aggregate/train/kl/mean", "aggregate//kl", "/train/kl"])
def test_what_is_no_address_is_refused_with_what_was_expected(text):
    with pytest.raises(ValueError, match=f"expected group/row/quantity, such as .*; got {text!r}"):
        Address.parse(text)


@pytest.mark.parametrize("parts", [("aggregate", "train/kl", "kl"), ("", "train", "kl")])
def test_parts_that_the_text_would_not_give_back_are_refused(parts):
    with pytest.raises(ValueError, match="without slashes"):
        Address(*parts)
