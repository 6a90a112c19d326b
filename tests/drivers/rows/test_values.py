"""One cell, whatever is in it."""

from __future__ import annotations

import pytest

from drivers.rows.values import number
from gateway.contract import Quality


@pytest.mark.parametrize("text", ["1" * 1_000_000 + "x", "1." + "1" * 1_000_000 + "e", "+" + "0" * 1_000_000 + "e+" + "1" * 100_000 + "."])
def test_a_long_text_of_digits_that_is_no_number_is_seen_at_once(text: str) -> None:
    """In as many steps as it has digits; their square would be hours in which nothing else runs."""
    assert number(text, ".", None)[1] == Quality.BAD_FORMAT
