import pytest

from models.order.path import steps, text_at


@pytest.mark.parametrize("text", ["", "$", "order", "$order", "$.", "$.a[", "$.a[-1]", "$.a..b", "$.a b", "$['']"])
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no place"):
        steps(text)


def test_odd_names_and_positions() -> None:
    assert steps("$['odd name'].b-c[2]") == ("odd name", "b-c", 2)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": [{"b": " 17 "}]}, "17"),
        ({"a": [{"b": 17}]}, "17"),
        ({"a": [{"b": 17.5}]}, None),
        ({"a": [{"b": False}]}, None),
        ({"a": [{"b": "  "}]}, None),
        ({"a": [{}]}, None),
        ({"a": []}, None),
        ({"a": {"0": 1}}, None),
        ({}, None),
    ],
)
def test_only_text_and_whole_numbers_count(document: object, expected: str | None) -> None:
    assert text_at(document, ("a", 0, "b")) == expected
