"""Verdicts come in by a durable consumer or a plain subscription, each acknowledged by the next read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import AckPolicy, ConsumerConfig

from gateway import registry
from gateway.contract import Feedback, Judgement, NotConnected, Verdict
from gateway.testkit.checks.watch import Left
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer
from gateway.uplink.nats.subjects import consumer_name, feedback_subject
from gateway.uplink.nats.verdicts import verdict

Make = Callable[..., Any]
SUBJECT = "fb.v1.test.test-gw"


def message(number: int, **changed: Any) -> bytes:
    told = {"id": f"v{number}", "incident": f"inc-{number}", "verdict": "false_alarm", "at": "2027-01-15T08:00:00.5Z", "by": "Eva"}
    return json.dumps(told | changed).encode()


@pytest.fixture
async def listen() -> AsyncIterator[Make]:
    """``listen(server, **options)``: connected feedback, closed at the end."""
    made: list[Feedback] = []

    async def build(url: str, *, secrets: dict[str, str] | None = None, feedback: Any = True, **options: Any) -> Feedback:
        plugin = registry.uplink("nats")
        given_options = {"nats": url, "stream": "EVENTS", "timeout": "2s", "feedback": feedback} | options
        found = plugin.feedback(plugin.options.model_validate(given_options), uplink_context(secrets=secrets))
        assert found is not None
        made.append(found)
        await found.connect()
        return found

    yield build
    for feedback in made:
        await feedback.close()
        await feedback.close()


@pytest.fixture
async def kept(server: NatsServer) -> NatsServer:
    """A server whose stream FB holds the verdicts."""
    await server.create_stream("FB", "fb.v1.>")
    return server


async def publish(server: NatsServer, *payloads: bytes, subject: str = SUBJECT) -> None:
    client = await server.client()
    for payload in payloads:
        await client.publish(subject, payload)
    await client.flush()
    await client.close()


async def read(feedback: Feedback) -> list[Verdict]:
    return await asyncio.wait_for(feedback.read(), 5)


async def pending(server: NatsServer) -> tuple[int, int]:
    """Not yet delivered, and delivered but not acknowledged."""
    client = await server.client()
    info = await client.jetstream().consumer_info("FB", "lineside-test-gw")
    await client.close()
    return info.num_pending, info.num_ack_pending


def test_no_feedback_unless_asked_for() -> None:
    plugin = registry.uplink("nats")
    assert plugin.feedback(plugin.options.model_validate({"nats": "nats://a:4222", "stream": "EVENTS"}), uplink_context()) is None


async def test_verdict_given_while_the_gateway_was_away_is_read(kept: NatsServer, listen: Make) -> None:
    await publish(kept, message(1, comment="belt was new", case="00012345"))
    (found,) = await read(await listen(kept.url))
    assert found == Verdict(
        id="v1",
        incident="inc-1",
        judgement=Judgement.FALSE_ALARM,
        t_ns=1_800_000_000_500_000_000,
        by="Eva",
        comment="belt was new",
        case="00012345",
    )


async def test_verdict_is_read_as_soon_as_it_is_given(kept: NatsServer, listen: Make) -> None:
    feedback = await listen(kept.url)
    reading = asyncio.create_task(feedback.read())
    for number in (1, 2, 3):
        await publish(kept, message(number))
        assert [found.id for found in await asyncio.wait_for(reading, 2)] == [f"v{number}"]
        reading = asyncio.create_task(feedback.read())
    reading.cancel()


async def test_next_read_is_the_acknowledgement(kept: NatsServer, listen: Make) -> None:
    await publish(kept, message(1), message(2))
    feedback = await listen(kept.url)
    got = await read(feedback)
    while len(got) < 2:
        got += await read(feedback)
    assert (await pending(kept))[1] >= 1
    reading = asyncio.create_task(feedback.read())
    async with asyncio.timeout(5):
        while await pending(kept) != (0, 0):
            pass
    reading.cancel()


async def test_what_was_not_acknowledged_comes_again(kept: NatsServer, listen: Make) -> None:
    """The gateway died after reading, before it was on disk."""
    client = await kept.client()
    await client.jetstream().add_consumer(
        "FB", durable_name="lineside-test-gw", name="lineside-test-gw", filter_subject=SUBJECT, ack_policy="explicit", ack_wait=0.2
    )
    await client.close()
    await publish(kept, message(1))
    first = await listen(kept.url)
    assert [found.id for found in await read(first)] == ["v1"]
    await first.close()
    assert [found.id for found in await read(await listen(kept.url))] == ["v1"]


async def test_many_are_read_through_and_in_order(kept: NatsServer, listen: Make) -> None:
    await publish(kept, *(message(number) for number in range(350)))
    feedback = await listen(kept.url)
    got: list[str] = []
    while len(got) < 350:
        got += [found.id for found in await read(feedback)]
    assert got == [f"v{number}" for number in range(350)]


async def test_malformed_is_logged_and_never_comes_again(kept: NatsServer, listen: Make, caplog: pytest.LogCaptureFixture) -> None:
    bad = [b"{", b"\xff", b"[]", message(1, verdict="maybe"), message(2, at="yesterday"), message(3, id=""), b"", b'{"a":' * 50_000]
    await publish(kept, *bad, message(9))
    feedback = await listen(kept.url)
    with caplog.at_level(logging.WARNING, "lineside"):
        assert [found.id for found in await read(feedback)] == ["v9"]
    assert [record.message for record in caplog.records if record.name == "lineside"] == ["verdict not understood"] * len(bad)
    reading = asyncio.create_task(feedback.read())
    async with asyncio.timeout(5):
        while await pending(kept) != (0, 0):
            pass
    reading.cancel()


async def test_without_a_stream_verdicts_are_heard_as_they_are_published(
    server: NatsServer, listen: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "lineside"):
        feedback = await listen(server.url)
    assert "while the gateway is away are lost" in caplog.records[-1].fields["why"]
    await publish(server, b"nonsense", message(1), message(2))
    got = await read(feedback)
    while len(got) < 2:
        got += await read(feedback)
    assert [found.id for found in got] == ["v1", "v2"]


async def test_subject_stream_and_consumer_are_chosen(server: NatsServer, listen: Make) -> None:
    await server.create_stream("OTHER", "verdicts.>")
    await publish(server, message(1), subject="verdicts.press")
    feedback = await listen(server.url, feedback={"subject": "verdicts.press", "stream": "OTHER", "consumer": "mine"})
    assert [found.id for found in await read(feedback)] == ["v1"]
    client = await server.client()
    assert (await client.jetstream().consumer_info("OTHER", "mine")).config.filter_subject == "verdicts.press"
    await client.close()


@pytest.mark.parametrize("others", [{"filter_subject": "fb.v1.other.test-gw"}, {"filter_subjects": ["fb.v1.other.test-gw", "fb.v2.>"]}])
async def test_consumer_of_a_gateway_of_the_same_name_elsewhere_is_left_to_it(
    kept: NatsServer, listen: Make, others: dict[str, Any]
) -> None:
    """It was taken for ours: each had some of the verdicts on the other one, and ours never came."""
    client = await kept.client()
    await client.jetstream().add_consumer("FB", ConsumerConfig(durable_name="lineside-test-gw", **others))
    await client.close()
    with pytest.raises(NotConnected, match=r"lineside-test-gw of stream FB is for fb\.v1\.other\.test-gw.*; set feedback: \{consumer:"):
        await listen(kept.url)
    await publish(kept, message(1))
    assert [found.id for found in await read(await listen(kept.url, feedback={"consumer": "ours"}))] == ["v1"]


@pytest.mark.parametrize("wide", [{}, {"filter_subject": "fb.v1.*.test-gw"}, {"filter_subjects": ["fb.v2.>", SUBJECT]}])
async def test_consumer_that_was_made_beforehand_is_taken_as_it_is(kept: NatsServer, listen: Make, wide: dict[str, Any]) -> None:
    client = await kept.client()
    await client.jetstream().add_consumer("FB", ConsumerConfig(durable_name="lineside-test-gw", ack_policy=AckPolicy.EXPLICIT, **wide))
    await client.close()
    await publish(kept, message(1))
    assert [found.id for found in await read(await listen(kept.url))] == ["v1"]


async def test_least_that_a_user_needs(listen: Make) -> None:
    publishes = [
        "$JS.API.STREAM.NAMES",
        "$JS.API.CONSUMER.*.FB.lineside-test-gw.>",
        "$JS.API.CONSUMER.*.FB.lineside-test-gw",
        "$JS.API.CONSUMER.MSG.NEXT.FB.lineside-test-gw",
        "$JS.ACK.FB.lineside-test-gw.>",
    ]
    users = f"""{{ user: admin, password: "a" }}, {{ user: edge, password: "pw",
        permissions: {{ publish: {json.dumps(publishes)}, subscribe: "_INBOX_gw.>" }} }}"""
    async with NatsServer(extra=f"authorization {{ users: [ {users} ] }}", login={"user": "admin", "password": "a"}) as server:
        await server.create_stream("FB", "fb.v1.>")
        await publish(server, message(1), b"bad")
        login = {"user": "edge", "password": {"secret": "word"}, "inbox_prefix": "_INBOX_gw"}
        feedback = await listen(server.url, secrets={"word": "pw"}, **login)
        assert [found.id for found in await read(feedback)] == ["v1"]
        reading = asyncio.create_task(feedback.read())
        async with asyncio.timeout(5):
            while await pending(server) != (0, 0):
                pass
        reading.cancel()


async def test_consumer_that_may_not_be_made_names_what_to_allow(listen: Make) -> None:
    users = """{ user: admin, password: "a" }, { user: edge, password: "pw", permissions: { publish: "$JS.API.STREAM.NAMES" } }"""
    async with NatsServer(extra=f"authorization {{ users: [ {users} ] }}", login={"user": "admin", "password": "a"}) as server:
        await server.create_stream("FB", "fb.v1.>")
        with pytest.raises(NotConnected, match=r'allow publish on .*"\$JS\.ACK\.FB\.lineside-test-gw\.>"'):
            await listen(server.url, secrets={"word": "pw"}, user="edge", password={"secret": "word"})


async def test_stream_that_is_named_and_missing_is_not_connected(server: NatsServer, listen: Make) -> None:
    with pytest.raises(NotConnected, match="stream not found"):
        await listen(server.url, feedback={"stream": "FB"})


@pytest.mark.parametrize("how", ["kill", "delete consumer"])
async def test_loss_during_a_read_is_not_connected(kept: NatsServer, listen: Make, how: str) -> None:
    feedback = await listen(kept.url)
    reading = asyncio.create_task(feedback.read())
    async with asyncio.timeout(5):
        client = await kept.client()
        while not (await client.jetstream().consumer_info("FB", "lineside-test-gw")).num_waiting:
            pass
        if how == "delete consumer":
            await client.jetstream().delete_consumer("FB", "lineside-test-gw")
        await client.close()
    if how == "kill":
        await kept.kill()
    with pytest.raises(NotConnected, match="connection lost" if how == "kill" else "consumer deleted"):
        await asyncio.wait_for(reading, 5)


class TestConnectedAgain:
    """The same one, as the gateway does it."""

    async def test_a_verdict_is_read_at_once(self, kept: NatsServer, listen: Make) -> None:
        feedback = await listen(kept.url)
        await publish(kept, message(1))
        await read(feedback)
        await feedback.close()
        await feedback.connect()
        await publish(kept, message(2))
        assert "v2" in [found.id for found in await read(feedback)]

    async def test_a_stream_that_was_looked_up_is_looked_up_again(self, kept: NatsServer, listen: Make) -> None:
        feedback = await listen(kept.url)
        await feedback.close()
        client = await kept.client()
        await client.jetstream().delete_stream("FB")
        await client.close()
        await kept.create_stream("VERDICTS", "fb.v1.>")
        await feedback.connect()
        await publish(kept, message(1))
        assert [found.id for found in await read(feedback)] == ["v1"]

    @pytest.mark.parametrize("denied", ['publish: {deny: "$JS.API.CONSUMER.MSG.NEXT.>"}', 'subscribe: {deny: "_INBOX.>"}'])
    async def test_what_was_forbidden_then_is_not_for_ever(self, listen: Make, denied: str) -> None:
        def users(permissions: str) -> str:
            return f"authorization {{ users: [ {{user: admin, password: a}}, {{user: gw, password: pw {permissions}}} ] }}"

        login = {"user": "gw", "password": {"secret": "pw"}}
        async with NatsServer(extra=users(""), login={"user": "admin", "password": "a"}) as server:
            await server.create_stream("FB", "fb.v1.>")
            feedback = await listen(server.url, secrets={"pw": "pw"}, **login)
            await feedback.close()
            await server.reload(extra=users(f", permissions: {{ {denied} }}"))
            why = ""
            while "may not" not in why:
                await feedback.close()
                try:
                    await feedback.connect()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(feedback.read(), 0.1)
                    await asyncio.wait_for(feedback.read(), 0.1)
                except NotConnected as exc:
                    why = exc.why
                except TimeoutError:
                    continue
            await server.reload(extra=users(""))
            await publish(server, message(1))
            await feedback.close()
            await feedback.connect()
            assert [found.id for found in await read(feedback)] == ["v1"]


async def test_read_cancelled_loses_nothing_and_leaves_nothing(kept: NatsServer, listen: Make) -> None:
    left = Left()
    feedback = await listen(kept.url)
    for _ in range(5):
        reading = asyncio.create_task(feedback.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await publish(kept, message(1))
    assert [found.id for found in await read(feedback)] == ["v1"]
    await feedback.close()
    await left.nothing()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_verdict_or_a_value_error(payload: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert verdict(payload).id


@pytest.mark.parametrize("word", ["false alarm", "False Alarm", "false-alarm", " FALSE_ALARM "])
def test_words_are_taken_as_people_write_them(word: str) -> None:
    assert verdict(message(1, verdict=word)).judgement is Judgement.FALSE_ALARM


def test_comment_that_was_cut_in_the_middle_of_a_character_costs_no_verdict() -> None:
    """As JavaScript's `slice` does it: the verdict was given back as one that makes no sense."""
    told = message(1, comment="oil \\u \U0001f525 hot \U0001f525").replace(b'\\ud83d\\udd25"', b'\\ud83d"')
    assert (verdict(told).id, verdict(told).comment) == ("v1", "oil \\u \U0001f525 hot \ufffd")


@pytest.mark.parametrize("names", ["test:" + "g" * 63, "werk-sued:werk-sued-halle-3-linie-12-presse-01", "a-:b_"])
def test_verdicts_come_to_the_names_as_the_events_have_them(names: str) -> None:
    """Publishers take them from `source`. Long ones were cut: nothing came, and two gateways with one beginning shared a consumer."""
    source = f"urn:lineside:acme:{names}"
    assert feedback_subject(source) == "fb.v1." + names.replace(":", ".")
    assert consumer_name(source) == "lineside-" + names.split(":")[1]
    assert consumer_name(source) != consumer_name(source[:-1] + "2")


def test_unknown_and_empty_fields_are_no_error() -> None:
    found = verdict(message(1, by=None, case=12345, more={"a": 1}, comment="x" * 10_000, at="2027-01-15T09:00:00.5+01:00"))
    assert (found.by, found.case, len(found.comment), found.t_ns) == ("", "12345", 4000, 1_800_000_000_500_000_000)
