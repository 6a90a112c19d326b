"""The mapper: typed, total, bounded, and no way to Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testkit.rigs import event
from gateway.uplink.https.filters import CUT, NAMES, TemplateError, Unfit
from gateway.uplink.https.lines import readable
from gateway.uplink.https.paths import MISSING
from gateway.uplink.https.template import MOST_CHARACTERS, Scope, as_text, compiled, filled
from gateway.uplink.https.view import VARIABLES, View

DATA = {"score": 1.256, "n": 7, "text": "Öl 80 °C", "on": True, "none": None, "tags": ["a", 1, None], "deep": {"a key": [{"x": 1}]}}
LINES = "score: 1.256\nn: 7\ntext: oil\non: true\nnone: none\ntags: a, 1, none\ndeep a key 1 x: 1"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from([*VARIABLES, "data.x", "data.x.y", "data.x[0]", "vars.a"])
_NUMBERS = (
    "bool",
    "epoch_ms",
    "iso",
    "iso(0, ' ')",
    "number",
    "round(2)",
    "within(-1, 5.5)",
    "map(a=1, else=2)",
    "default(id)",
    "default('x')",
)
_TEXTS = (
    "at_most(5)",
    "join('-')",
    "json",
    "lines",
    "lines(2)",
    "lower",
    "replace('a', 'b')",
    "sha256",
    "slug",
    "truncate(4)",
    "upper",
    "default(null)",
)
calls = st.sampled_from([*_NUMBERS, *_TEXTS])


def view(data: Any = DATA) -> View:
    return View(event(7, data=msgspec.json.encode(data)))


def render(template: Any, data: Any = DATA, **constants: Any) -> Any:
    return compiled(template, Scope(vars=constants))(view(data))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{{ id }}", "ev-00000007"),
        ("{{data.score}}", 1.256),
        ("{{ data.n }}", 7),
        ("{{ data.on }}", True),
        ("{{ data.score | within(-1, 2) }}", 1.256),
        ("{{ data.n | within(0, 7) }}", 7),
        ("{{ data.n | within(8, 9.5) }}", None),
        ("{{ data.n | within(8, 9) | default('-') }}", "-"),
        ("{{ data.missing | within(8, 9) }}", MISSING),
        ("n={{ data.n | within(8, 9) }}.", "n=."),
        ("{{ data | lines | replace('Öl 80 °C', 'oil') }}", LINES),
        ("{{ data | lines(3) }}", "score: 1.256\nn: 7\n" + CUT),
        ("{{ data.text | lines }}", "Öl 80 °C"),
        ("{{ data.none | lines }}", None),
        ("{{ data.none }}", None),
        ("{{ data.tags }}", ["a", 1, None]),
        ("{{ data.missing }}", MISSING),
        ("n={{ data.n }} on={{ data.on }} {{ data.missing }}{{ data.none }}.", "n=7 on=true ."),
        ("{{ data.score | round(1) }}", 1.3),
        ("{{ data.score | round }}", 1),
        ('{{ data.deep["a key"][0].x }}', 1),
        ("{{ data.tags[0] | upper }}", "A"),
        ("{{ data.tags[9] }}", MISSING),
        ("{{ data.text | truncate(4) }}", "Öl " + CUT),
        ("{{ data.text | truncate(8) }}", "Öl 80 °C"),
        ("{{ data.text | slug }}", "ol-80-c"),
        ("{{ data.tags | join('; ') }}", "a; 1; null"),
        ("{{ data.missing | default(data.n) }}", 7),
        ("{{ data.none | default('-') }}", "-"),
        ("{{ data.missing | default(correlationid) | truncate(3) }}", "in" + CUT),
        ("{{ severitytext | map(INFO=5, WARNING=4, else=1) }}", 4),
        ('{{ data.text | map("Öl 80 °C"="oil") }}', "oil"),
        ("{{ data.text | map(a=1) }}", MISSING),
        ("{{ time | iso }}", "2027-01-15T08:00:00.000Z"),
        ("{{ time | iso(0, ' ') }}", "2027-01-15 08:00:00"),
        ("{{ time | epoch_ms }}", 1_800_000_000_000),
        ("{{ data.n | bool }}", True),
        ("{{ '12.50' | number }}", 12.5),
        ("{{ data.text | json }}", '"Öl 80 °C"'),
        ("{{ 'a.b' | replace('.', '/') }}", "a/b"),
        ("{{ '' | sha256 }}", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("{{ area }}/{{ cell }}/{{ machine }}/{{ point }}", "area/cell/press-07/oil_temperature"),
        ("{{ enterprise }} {{ site }} {{ gateway }}", "acme test test-gw"),
        ("{{ sequence }}", "00000000000000000007"),
        ("{{ '{{' }}", "{{"),
        ('{{ "a | b }} c" | upper }}', "A | B }} C"),
        ({"a": "{{ data.n }}", "b": ["{{ data.missing }}", 1], "c": "{{ data.missing }}"}, {"a": 7, "b": [1]}),
        ("{{ vars.object }}", "tickets"),
    ],
)
def test_template_gives_the_value_with_its_type(template: Any, value: Any) -> None:
    found = render(template, object="tickets")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ idd }}", "did you mean 'id'"),
        ("{{ id | uper }}", "there is no filter 'uper'"),
        ("{{ id", "do not belong together"),
        ("id }} {{ id }}", "do not belong together"),
        ("{{ }}", "names nothing"),
        ("{{ id.x }}", "id has no parts"),
        ("{{ id | truncate }}", "does not take these arguments"),
        ("{{ id | truncate(0) }}", "a whole number from 1"),
        ("{{ id | truncate('x') }}", "a whole number from 1"),
        ("{{ id | upper(1) }}", "does not take these arguments"),
        ("{{ id | round(a=1) }}", "takes no names"),
        ("{{ id | map }}", "needs pairs"),
        ("{{ id | default }}", "needs one value"),
        ("{{ id | default(idd) }}", "there is no 'idd'"),
        ("{{ id | iso(3, 'x') }}", 'by "T" or " "'),
        ("{{ id | within(1) }}", "does not take these arguments"),
        ("{{ id | within(2, 1) }}", "the smaller one first"),
        ("{{ id | within('a', 1) }}", "needs two numbers"),
        ("{{ id | lines(0) }}", "a whole number from 1"),
        ("{{ data..x }}", "is no path"),
        ("{{ data.x + 1 }}", "is no path"),
        ("{{ id.__class__ }}", "id has no parts"),
        ("{{ __import__('os') }}", "is no path"),
        ("{{ vars.missing }}", "vars has no missing; there are: object"),
        ("{{ id" + " | upper" * 11 + " }}", "more than 10 filters"),
        ("{{ data" + ".x" * 20 + " }}", "at most 16 steps"),
        ("{{ id }}" + "x" * MOST_CHARACTERS, "longer than"),
    ],
)
def test_template_that_cannot_work_is_refused_by_name(template: str, words: str) -> None:
    with pytest.raises(TemplateError) as refused:
        compiled(template, Scope(vars={"object": "tickets"}))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "template",
    ["{{ data.text | number }}", "{{ data.text | round }}", "{{ data.text | iso }}", "{{ data.text | bool }}", "{{ id | at_most(3) }}"],
)
def test_value_that_does_not_fit_its_filter_is_told_with_the_template(template: str) -> None:
    with pytest.raises(Unfit) as unfit:
        render(template)
    assert template in str(unfit.value)


def test_python_is_out_of_reach() -> None:
    assert render("{{ data.__class__ }}") is MISSING
    assert render("{{ data.keys }}") is MISSING
    assert render("{{ data.text.upper }}") is MISSING


@given(st.text(max_size=80) | st.text("{}|.()'\"= ,idata[]0x", max_size=60))
def test_any_text_is_a_template_or_is_refused_as_one(text: str) -> None:
    try:
        made = compiled(text)
    except TemplateError:
        return
    try:
        made(view())
    except Unfit:
        return


@given(paths, st.lists(calls, max_size=4), json_values, st.booleans())
def test_every_value_through_any_filters_gives_json_or_is_unfit(path: str, filters: list[str], value: Any, alone: bool) -> None:
    template = "{{ " + " | ".join([path, *filters]) + " }}"
    made = compiled(template if alone else f"x {template}", Scope(vars={"a": 1}))
    try:
        found = made(view({"x": value}))
    except Unfit:
        return
    if not alone:
        assert isinstance(found, str)
    if found is not MISSING:
        msgspec.json.encode(found)


@given(json_values)
def test_alone_it_is_the_value_itself(value: Any) -> None:
    found = render("{{ data.x }}", {"x": value})
    assert found == msgspec.json.decode(msgspec.json.encode(value))


def utf16(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2


def test_length_is_counted_as_the_receivers_count_it() -> None:
    """In UTF-16: five characters, of which two are two each, do not fit into a field of six."""
    assert render("{{ data.x | truncate(6) }}", {"x": "oil\U0001f525\U0001f525"}) == "oil\U0001f525" + CUT
    assert render("{{ data.x | truncate(5) }}", {"x": "oil\U0001f525\U0001f525"}) == "oil" + CUT
    assert render("{{ data.x | at_most(7) }}", {"x": "oil\U0001f525\U0001f525"}) == "oil\U0001f525\U0001f525"
    with pytest.raises(Unfit, match="is 7 characters long"):
        render("{{ data.x | at_most(6) }}", {"x": "oil\U0001f525\U0001f525"})


@given(st.text(max_size=300), st.integers(1, 200))
def test_cut_text_is_as_long_as_allowed_marked_and_counted(text: str, most: int) -> None:
    scope = Scope(cuts=Counter())
    template = f"{{{{ data.x | truncate({most}) }}}}"
    found = compiled(template, scope)(view({"x": text}))
    was_cut = utf16(text) > most
    assert most - was_cut <= utf16(found) <= most if was_cut else found == text
    assert text.startswith(found.removesuffix(CUT))
    assert scope.cuts == ({template: 1} if was_cut else {})


@given(json_values, st.integers(1, 8))
def test_lines_are_no_more_than_allowed_and_tell_when_something_is_left_out(value: Any, most: int) -> None:
    text, whole = readable(value, most)
    assert len(text.splitlines()) <= most
    assert whole or CUT in text
    if whole:
        assert readable(value, 1000) == (text, True)


def test_long_rows_and_deep_values_are_bounded() -> None:
    deep: Any = {"z": 1}
    for _ in range(200):
        deep = {"a": deep}
    assert readable({"x": list(range(25)), "note": "two\nlines"}, 9) == (
        "x: " + ", ".join(map(str, range(20))) + ", … 5 more\nnote: two lines",
        False,
    )
    assert readable(deep, 9)[0].startswith('a a a a a a: {"a":')


@given(json_values.filter(lambda value: not isinstance(value, str)) | st.text(max_size=30).filter(lambda text: "{{" not in text))
def test_json_without_templates_is_left_as_it_is(value: Any) -> None:
    if "{{" not in msgspec.json.encode(value).decode():
        assert render(value) == value


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_value_in_a_path_keeps_to_its_segment(value: str) -> None:
    from urllib.parse import unquote

    from gateway.uplink.https.plan import _segment

    path = as_text("/a/{{ data.x }}/b", quote=_segment)(view({"x": value}))
    assert path.count("/") == 3
    assert unquote(path) == f"/a/{value}/b"
    assert path.split("/")[2] not in (".", "..")
    assert path.isascii()


def test_data_that_is_no_json_is_unfit() -> None:
    with pytest.raises(Unfit, match="no JSON"):
        compiled("{{ data.x }}")(View(event(1, data=b"{")))


def test_text_without_an_event_takes_constants_only() -> None:
    assert filled("/objects/{{ vars.object }}?x={{vars.n}}", {"object": "tickets", "n": 1}) == "/objects/tickets?x=1"
    with pytest.raises(TemplateError, match="only vars"):
        filled("/{{ id }}", {})


def test_every_filter_stands_in_the_readme() -> None:
    from importlib.resources import files

    readme = (files("gateway.uplink.https") / "README.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"`{name}" not in readme]
    assert not [name for name in VARIABLES if f"`{name}`" not in readme]
