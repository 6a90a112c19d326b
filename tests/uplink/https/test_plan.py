"""Which events share a request: order, sizes, groups, keys."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Event
from gateway.testkit.posting import Bench, incident, kinds, sent
from gateway.testkit.servers.crm import Site
from gateway.uplink.https.compose import Composer
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.plan import Entry, Mapper, halves, plan
from gateway.uplink.https.template import Scope

ARRAY: dict[str, Any] = {"form": "array", "item": {"id": "{{ id }}", "n": "{{ data.n }}"}}


def planned(events: list[Event], **options: Any) -> tuple[list[list[Entry]], dict[int, Any], HttpsOptions]:
    made = HttpsOptions.model_validate({"https": "https://crm.example.com", **options})
    requests, refused = plan(events, Mapper(made, Scope(vars=made.vars)), made)
    return requests, refused, made


def some(machine: str, type_: str, number: int, key: str = "") -> Event:
    event = incident(number, type_, machine=machine, n=number)
    return msgspec.structs.replace(event, id=f"{number:04d}", correlationid=key)


events_of = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["raised", "cleared"]), st.sampled_from(["k1", "k2", "k3"])), max_size=30
).map(lambda made: [some(machine, type_, number, key) for number, (machine, type_, key) in enumerate(made)])
bodies = st.fixed_dictionaries(
    {"max_items": st.integers(1, 8)},
    optional={
        "max_bytes": st.integers(1000, 1200),
        "group_by": st.sampled_from(["{{ type }}", "{{ machine }}", "{{ severitytext }}"]),
        "key": st.just("{{ correlationid }}"),
    },
)


@given(events_of, bodies, st.booleans())
def test_every_event_is_in_one_request_and_no_machine_is_overtaken(events: list[Event], body: dict[str, Any], merge: bool) -> None:
    coalesce = merge and "key" in body
    requests, refused, options = planned(events, body={**ARRAY, **body, "coalesce": coalesce})
    assert refused == {}
    rows = [row for request in requests for entry in request for row in entry.rows]
    assert sorted(rows) == list(range(len(events)))
    for request in requests:
        assert 1 <= len(request) <= body["max_items"]
        assert len({entry.group for entry in request}) == 1
        assert len(Composer(options).body(request)) <= body.get("max_bytes", 1 << 20) + 2
        if "key" in body:
            assert len({entry.key for entry in request}) == len(request)
    _keeps_the_order(requests, events, within=not coalesce)


def _keeps_the_order(requests: list[list[Entry]], events: list[Event], *, within: bool) -> None:
    """Of each machine, from request to request; `within`: in each request, too."""
    for machine in "abc":
        mine = [[row for entry in request for row in entry.rows if events[row].partitionkey == machine] for request in requests]
        flat = [row for rows in mine for row in (rows if within else sorted(rows))]
        assert flat == sorted(flat)


@given(events_of, bodies)
def test_halving_what_was_merged_lets_no_machine_be_overtaken(events: list[Event], body: dict[str, Any]) -> None:
    requests, _, options = planned(events, body={**ARRAY, "key": "{{ correlationid }}", **body, "coalesce": True})
    for request in requests:
        if len(request) > 1:
            parts = halves(request, options)
            rows = [row for part in parts for entry in part for row in entry.rows]
            assert sorted(rows) == sorted(row for entry in request for row in entry.rows)
            assert all(len(part) < len(rows) for part in parts)
            _keeps_the_order(parts, events, within=False)


async def test_one_event_per_request_keeps_a_machines_order_though_events_are_merged(bench: Bench) -> None:
    async with Site() as site:
        body = {**ARRAY, "key": "{{ correlationid }}", "coalesce": True, "max_items": 1}
        uplink = await bench.uplink(site.url, body=body)
        keys = ["k1", "k1", "k2", "k1"]
        assert kinds(await uplink.send([some("a", "updated", number, key) for number, key in enumerate(keys)])) == sent(4)
        assert [record["id"] for seen in site.seen for record in seen.document] == ["0001", "0002", "0003"]


@given(events_of)
def test_coalesced_events_are_what_they_would_have_become_one_after_the_other(events: list[Event]) -> None:
    item = {"key": "{{ correlationid }}", "last": "{{ id }}", "deep": {"n": "{{ data.n }}"}}
    also = [
        {"types": ["*.raised.*"], "item": {"raised": "{{ id }}", "deep": {"r": 1}}},
        {"types": ["*.cleared.*"], "item": {"deep": {"c": 1}}},
    ]
    body = {"form": "array", "item": item, "also": also, "key": "{{ correlationid }}"}
    apart, _, options = planned(events, body=body)
    together, _, _ = planned(events, body={**body, "coalesce": True})
    assert len(together) == (1 if events else 0)

    def upserted(requests: list[list[Entry]]) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for request in requests:
            for each in msgspec.json.decode(Composer(options).body(request)):
                before = rows.get(each["key"], {})
                rows[each["key"]] = {**before, **each, "deep": {**before.get("deep", {}), **each["deep"]}}
        return rows

    assert upserted(together) == upserted(apart)


def test_fields_of_some_types_are_added_for_them_only() -> None:
    also = [{"types": ["*.cleared.*", "x"], "item": {"closed": "{{ time | iso(0) }}", "n": 0}}]
    requests, _, options = planned([incident(1, n=5), incident(1, "cleared", n=5)], body={**ARRAY, "also": also})
    raised, cleared = msgspec.json.decode(Composer(options).body(requests[0]))
    assert raised == {"id": "inc-1-raised", "n": 5}
    assert cleared == {"id": "inc-1-cleared", "n": 0, "closed": "2027-01-15T08:00:00Z"}


def test_event_that_does_not_fit_is_refused_alone_and_says_where() -> None:
    events = [incident(1, n=1), incident(2, n="many"), incident(3, n=3)]
    requests, refused, _ = planned(events, body={"form": "array", "item": {"n": "{{ data.n | round(2) }}"}})
    assert [entry.rows for entry in requests[0]] == [[0], [2]]
    assert list(refused) == [1]
    assert "{{ data.n | round(2) }}: 'many' is no number" in refused[1].reason
    assert refused[1].code == ""


@pytest.mark.parametrize(
    ("body", "wanted", "content_type"),
    [
        ({"form": "array"}, b'[{"id":"1"},{"id":"2"}]', "application/json"),
        ({"form": "ndjson"}, b'{"id":"1"}\n{"id":"2"}\n', "application/x-ndjson"),
        ({"form": "array-in", "path": "records"}, b'{"records":[{"id":"1"},{"id":"2"}]}', "application/json"),
        (
            {"form": "array-in", "path": "a.b", "wrap": {"x": 1, "a": {"y": 2}}},
            b'{"x":1,"a":{"y":2,"b":[{"id":"1"},{"id":"2"}]}}',
            "application/json",
        ),
        ({"form": "array", "content_type": "application/vnd.acme+json"}, b'[{"id":"1"},{"id":"2"}]', "application/vnd.acme+json"),
    ],
)
async def test_form_is_what_arrives(bench: Bench, body: dict[str, Any], wanted: bytes, content_type: str) -> None:
    events = [msgspec.structs.replace(incident(n), id=str(n)) for n in (1, 2)]
    async with Site() as site:
        uplink = await bench.uplink(site.url, body={**body, "item": {"id": "{{ id }}"}})
        assert kinds(await uplink.send(events)) == sent(2)
        assert [(seen.body, seen.headers["content-type"]) for seen in site.seen] == [(wanted, content_type)]


async def test_path_and_headers_are_the_events_own(bench: Bench) -> None:
    headers = {"X-Severity": "{{ severitytext }}", "X-Title": "{{ data.title }}", "X-Plant": "{{ vars.plant }}"}
    async with Site() as site:
        uplink = await bench.uplink(
            site.url, path="/assets/{{ partitionkey }}/alarms?type={{ data.title }}", headers=headers, vars={"plant": "dresden"}, body=ARRAY
        )
        events = [incident(1, machine="m 1/2", title="a&b"), incident(2, machine="m-2", title="Öl\r\nX: y")]
        assert kinds(await uplink.send(events)) == sent(2)
        assert [seen.path for seen in site.seen] == [
            "/assets/m%201%2F2/alarms?type=a%26b",
            "/assets/m-2/alarms?type=%C3%96l%0D%0AX%3A%20y",
        ]
        assert [seen.headers["x-title"] for seen in site.seen] == ["a&b", "%C3%96l%0D%0AX:%20y"]
        assert {(seen.headers["x-severity"], seen.headers["x-plant"]) for seen in site.seen} == {("WARNING", "dresden")}
        assert "x" not in site.seen[1].headers


@pytest.mark.parametrize("quoted", [True, False])
async def test_same_request_has_the_same_idempotency_key_and_another_has_not(bench: Bench, quoted: bool) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url, body=ARRAY, idempotency={"header": "X-Key", "value": "{{ id }}", "quoted": quoted})
        for numbers in ([1, 2], [1, 2], [2, 1], [1]):
            await uplink.send([incident(n) for n in numbers])
        keys = [seen.headers["x-key"] for seen in site.seen]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == ('"inc-1-raised"' if quoted else "inc-1-raised")


async def test_what_was_cut_or_left_empty_is_counted_and_told_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async with Site() as site:
        item = {"t": "{{ data.title | truncate(10) }}", "n": "{{ data.score | within(0, 5) }}", "l": "{{ data.explanation | lines(1) }}"}
        uplink = await bench.uplink(site.url, body={"form": "array", "item": item})
        for _ in range(2):
            events = [incident(1, title="x" * 11), incident(2, title="y", score=1e30), incident(3, title="z" * 30, explanation={})]
            assert kinds(await uplink.send(events)) == sent(3)
        assert [each["t"] for each in site.seen[0].document] == ["x" * 9 + "…", "y", "z" * 9 + "…"]
        assert [each["n"] for each in site.seen[0].document] == [1.25, None, 1.25]
        assert [each["l"] for each in site.seen[0].document] == ["…", "…", "none"]
    assert bench.cut == [5, 5]
    (told,) = [record for record in caplog.records if "cut short or left empty" in record.getMessage()]
    assert told.fields["fields"] == 5  # type: ignore[attr-defined]
    assert told.fields["templates"] == ", ".join([item["t"], item["l"], item["n"]])  # type: ignore[attr-defined]
