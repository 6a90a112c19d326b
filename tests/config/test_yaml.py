"""YAML 1.2 with positions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.nodes import NotYaml
from gateway.config.yaml import parse

# Aliases of ten values each: a million values in 250 characters.
BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdef")
)


def test_words_stay_words_and_numbers_are_numbers() -> None:
    text = "{a: no, b: on, c: 12:30:00, d: 0o17, e: 1_000, f: 0x10, g: 1e3, h: true, i: null, j: '5', k: 010}"
    assert parse(text).data == {
        "a": "no",
        "b": "on",
        "c": "12:30:00",
        "d": 15,
        "e": 1000,
        "f": 16,
        "g": 1000.0,
        "h": True,
        "i": None,
        "j": "5",
        "k": 10,
    }


def test_every_key_and_value_knows_its_place() -> None:
    document = parse("machines:\n  press:\n    tags: [a, {at: 5}]\n    empty:\n")
    assert document.keys[("machines", "press")] == (2, 3)
    assert document.values[("machines", "press", "tags", 1, "at")] == (3, 20)
    assert document.values[("machines", "press", "empty")] == (4, 5)
    assert document.of_value(("machines", "press", "tags", 1, "absent")) == (3, 15)


def test_a_key_given_three_times_is_found_twice() -> None:
    document = parse("a: 1\na: 2\na: 3\n")
    assert document.data == {"a": 1}
    assert document.duplicates == [(("a",), (2, 1), (1, 1)), (("a",), (3, 1), (1, 1))]


def test_an_anchor_is_one_value_in_two_places() -> None:
    assert parse("a: &x {n: 1}\nb: *x\n").data == {"a": {"n": 1}, "b": {"n": 1}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2", "flow sequence that begins in line 1|did not find|expected"),
        ("a: *b", "undefined alias"),
        ("a: &a [*a]", "an alias that contains itself"),
        ("--- 1\n--- 2\n", "another document"),
        ("a: 1\nb: \x00", r"the character U\+0000 is not allowed"),
        ("[" * 500, "nested too deep"),
    ],
    ids=["open bracket", "no anchor", "alias of itself", "two documents", "control character", "too deep"],
)
def test_what_is_not_yaml_says_why(text: str, problem: str) -> None:
    with pytest.raises(NotYaml, match=problem):
        parse(text)


def test_aliases_of_aliases_do_not_eat_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.config.yaml._MOST_VALUES", 5_000)
    with pytest.raises(NotYaml, match="more than 5000 values"):
        parse(BOMB)


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_not_yaml(text: str) -> None:
    try:
        place = parse(text).of_value(())
    except NotYaml as exc:
        place = exc.position
    assert place[0] <= len(text) + 1
    assert place[1] <= len(text) + 1


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 50_000, "? " * 50_000], ids=["flow", "block", "mapping", "keys"])
def test_no_depth_ends_the_process(text: str) -> None:
    with pytest.raises(NotYaml):
        parse(text)


def test_without_libyaml_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "example.yaml").read_text()
    quick = parse(text)
    monkeypatch.setattr("gateway.config.nodes._Loader", yaml.BaseLoader)
    assert parse(text) == quick
