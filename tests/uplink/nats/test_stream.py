"""Streams are checked at connect, and explained with the command that helps; created only on request."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.contract import NotConnected, OutcomeKind
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer
from gateway.uplink.nats.config import NatsOptions
from gateway.uplink.nats.stream import StreamConfig, complaints
from gateway.uplink.nats.subjects import coverage, overlap, subject_of

Make = Callable[..., Any]
OURS = "evt.v1.acme.test.*.*.*.*.*"
GOOD = StreamConfig(name="EVENTS", subjects=["evt.v1.>"], duplicate_window=1800 * 10**9)


def said(stream: StreamConfig, **options: Any) -> list[str]:
    given_options = NatsOptions.model_validate({"nats": "nats://a:4222", "stream": "EVENTS"} | options)
    return [str(complaint) for complaint in complaints(stream, OURS, given_options)]


async def test_missing_stream_is_not_connected_with_the_remedy(server: NatsServer, make: Make) -> None:
    with pytest.raises(NotConnected, match=r"no stream 'EVENTS'; create it \(nats stream add EVENTS .*create_stream: true"):
        await make(server.url)


async def test_missing_stream_is_created_on_request(server: NatsServer, make: Make) -> None:
    uplink = await make(server.url, create_stream=True)
    assert [outcome.kind for outcome in await uplink.send([event(1)])] == [OutcomeKind.SENT]
    client = await server.client()
    config = (await client.jetstream().stream_info("EVENTS")).config
    await client.close()
    assert (config.subjects, config.storage, config.duplicate_window) == (["evt.v1.>"], "file", 1800.0)


async def test_stream_that_is_there_is_never_changed(server: NatsServer, make: Make) -> None:
    await server.create_stream(duplicate_window=60, max_msgs=1000)
    client = await server.client()
    before = (await client.jetstream().stream_info("EVENTS")).config
    await make(server.url, create_stream=True)
    after = (await client.jetstream().stream_info("EVENTS")).config
    await client.close()
    assert before == after


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subjects": "other.>"}, "takes other.>: none of ours .*nats stream edit EVENTS --subjects 'other.>' --subjects 'evt.v1.>'"),
        ({"subjects": "evt.v1.*.*.*.*"}, "none of ours"),
        ({"no_ack": True}, "acknowledges nothing.*nats stream edit EVENTS --ack"),
    ],
)
async def test_stream_that_cannot_work_is_refused_at_connect(server: NatsServer, make: Make, options: dict[str, Any], words: str) -> None:
    await server.create_stream(**options)
    with pytest.raises(NotConnected, match=words):
        await make(server.url)


async def test_sealed_stream_is_refused_at_connect(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    client = await server.client()
    js = client.jetstream()
    await js.update_stream((await js.stream_info("EVENTS")).config.evolve(sealed=True))
    await client.close()
    with pytest.raises(NotConnected, match=r"sealed .*nats stream add NEW_NAME"):
        await make(server.url)


async def test_server_without_jetstream_is_explained(make: Make) -> None:
    async with NatsServer(jetstream=None) as server:
        with pytest.raises(NotConnected, match="JetStream does not answer; enable it for this account"):
            await make(server.url)


async def test_domain_that_is_not_there_is_explained(server: NatsServer, make: Make) -> None:
    with pytest.raises(NotConnected, match="is 'hub' the domain of the server"):
        await make(server.url, domain="hub")


async def test_what_is_risky_is_logged_and_delivered_to(server: NatsServer, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    await server.create_stream(duplicate_window=120, storage="memory")
    with caplog.at_level(logging.WARNING, "lineside"):
        uplink = await make(server.url)
    assert [outcome.kind for outcome in await uplink.send([event(1)])] == [OutcomeKind.SENT]
    fields = [getattr(record, "fields", {}) for record in caplog.records if record.name == "lineside"]
    assert [(field["destination"], field["why"].split(":")[0]) for field in fields] == [
        ("crm", "stream EVENTS knows a repeated event for 120 s only; one sent again later is stored twice"),
        ("crm", "stream EVENTS is in memory"),
    ]
    assert fields[0]["remedy"] == "nats stream edit EVENTS --dupe-window 30m, or exactly_once: true here"


def test_good_stream_has_no_complaints() -> None:
    assert said(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"subjects": ["evt.v1.*.*.*.*.*.anomaly.>"]}, r"only some of ours.*--subjects 'evt\.v1\.>'$"),
        ({"subjects": []}, "takes no subjects"),
        ({"duplicate_window": 120 * 10**9}, "120 s only.*--dupe-window 30m"),
        ({"storage": "memory"}, "in memory.*nats stream add NEW_NAME .*--storage file"),
        ({"retention": "interest"}, "without a consumer they vanish; nats stream edit EVENTS --retention limits"),
        ({"retention": "workqueue"}, "work queue"),
        ({"max_msgs": 1000}, "drops its oldest.*--discard new"),
        ({"max_bytes": 1000}, "drops its oldest.*--discard new"),
        ({"max_msg_size": 4096}, "4096 bytes.*--max-msg-size 262144"),
        ({"sealed": True}, "sealed"),
        ({"no_ack": True}, "acknowledges nothing"),
    ],
)
def test_each_risk_names_its_command(changed: dict[str, Any], words: str) -> None:
    (complaint,) = said(replace(GOOD, **changed))
    assert re.search(words, complaint)


def test_full_stream_that_refuses_is_no_risk() -> None:
    assert said(replace(GOOD, max_msgs=1000, discard="new")) == []


def test_exactly_once_needs_no_window() -> None:
    assert said(replace(GOOD, duplicate_window=10**8), exactly_once=True) == []


tokens = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)
literals = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5)


def matches(pattern: str, subject: list[str]) -> bool:
    """By the rules of the server, written another way."""
    expression = "".join(r"\.[^.]+" if token == "*" else r"(\.[^.]+)+" if token == ">" else rf"\.{token}" for token in pattern.split("."))
    return re.fullmatch(expression, "." + ".".join(subject)) is not None


@given(pattern=tokens, rest=st.booleans(), ours=tokens, subject=literals)
def test_coverage_never_claims_what_the_server_would_not_take(pattern: list[str], rest: bool, ours: list[str], subject: list[str]) -> None:
    stream = ".".join([*pattern, ">"] if rest else pattern)
    covered = coverage([stream], ".".join(ours))
    if matches(".".join(ours), subject):
        assert covered != "all" or matches(stream, subject)
        assert covered != "none" or not matches(stream, subject)


@given(one=tokens, rest=st.booleans(), other=tokens, subject=literals)
def test_patterns_that_share_a_subject_overlap(one: list[str], rest: bool, other: list[str], subject: list[str]) -> None:
    first, second = ".".join([*one, ">"] if rest else one), ".".join(other)
    if matches(first, subject) and matches(second, subject):
        assert overlap(first, second)
        assert overlap(second, first)


@given(st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=2, unique=True))
def test_two_ids_never_share_a_subject_and_none_breaks_one(ids: list[str]) -> None:
    one, other = (subject_of(replace(event(1), id=given_id), "evt.v1", own=True) for given_id in ids)
    assert one != other
    for subject in (one, other):
        assert len(subject.split(".")) == 10
        assert subject.isascii()
        assert not re.search(r"[\s*>\x00-\x1f]", subject)
