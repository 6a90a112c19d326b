"""Against the real nats-server: acknowledgements, refusals, faults, the CloudEvents binding."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from msgspec.structs import replace

from gateway.contract import Event, NotConnected, OutcomeKind
from gateway.events.codec import nats_headers
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer

SENT, DUPLICATE, RETRY, PARK, HOLD = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY", "PARK", "HOLD"))
Make = Callable[..., Any]
Read = Callable[..., Any]


def events(count: int, first: int = 1) -> list[Event]:
    return [event(number) for number in range(first, first + count)]


async def test_sent_means_the_stream_has_it_in_order(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url)
    outcomes = await uplink.send(events(500))
    assert {outcome.kind for outcome in outcomes} == {SENT}
    assert await server.message_ids() == [e.id for e in events(500)]


async def test_acknowledgement_that_was_lost_is_a_duplicate(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    first, second = await make(server.url), await make(server.url)
    await first.send(events(5))
    outcomes = await second.send(events(7))
    assert [outcome.kind for outcome in outcomes] == [DUPLICATE] * 5 + [SENT] * 2
    assert len(await server.message_ids()) == 7


async def test_headers_are_the_cloudevents_binding(server: NatsServer, make: Make, read: Read) -> None:
    await server.create_stream()
    uplink = await make(server.url)
    odd = replace(event(2), subject='halle/linie 2/zelle/presse "Süd" 50 %/öl', traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    await uplink.send([event(1), odd])
    plain, escaped = await read(server, 2)
    assert plain.subject == "evt.v1.acme.test.area.line.cell.limit.raised"
    assert plain.data == b'{"n":1}'
    assert plain.headers == nats_headers(event(1))
    assert plain.headers["Nats-Msg-Id"] == plain.headers["ce-id"] == "ev-00000001"
    assert plain.headers["ce-specversion"] == "1.0"
    assert plain.headers["ce-datacontenttype"] == "application/json"
    assert plain.headers["ce-time"] == "2027-01-15T08:00:00.000000001Z"
    assert escaped.headers == nats_headers(odd)
    assert escaped.headers["ce-subject"] == "halle/linie%202/zelle/presse%20%22S%C3%BCd%22%2050%20%25/%C3%B6l"
    assert unquote(escaped.headers["ce-subject"]) == odd.subject
    assert all(value.isascii() and " " not in value for value in escaped.headers.values())


async def test_prefix_of_the_subject_is_chosen(server: NatsServer, make: Make, read: Read) -> None:
    await server.create_stream(subjects="plant.edge.>")
    uplink = await make(server.url, subject_prefix="plant.edge")
    await uplink.send(events(1))
    (message,) = await read(server, 1)
    assert message.subject == "plant.edge.acme.test.area.line.cell.limit.raised"


async def test_full_stream_holds_and_parks_nothing(server: NatsServer, make: Make) -> None:
    await server.create_stream(max_msgs=4, discard="new")
    uplink = await make(server.url)
    outcomes = await uplink.send(events(6))
    assert [outcome.kind for outcome in outcomes] == [SENT] * 4 + [HOLD] * 2
    assert "stream EVENTS is full: maximum messages exceeded (10077); nats stream edit EVENTS" in outcomes[5].reason


@pytest.mark.parametrize("limit", [{"max_bytes": 4096}, {"max_msgs_per_subject": 2, "discard_new_per_subject": True}])
async def test_every_way_to_be_full_holds(server: NatsServer, make: Make, limit: dict[str, Any]) -> None:
    await server.create_stream(discard="new", **limit)
    uplink = await make(server.url)
    kinds = [outcome.kind for outcome in await uplink.send(events(20))]
    assert set(kinds) == {SENT, HOLD}
    assert kinds == sorted(kinds, key=lambda kind: kind is HOLD)


async def test_full_account_holds(make: Make) -> None:
    accounts = (
        'accounts { PLANTS { jetstream: { max_mem: 0, max_disk: 4096 }, users: [ { user: edge, password: "pw" } ] } }\nno_auth_user: edge'
    )
    async with NatsServer(extra=accounts) as server:
        await server.create_stream()
        uplink = await make(server.url)
        kinds = {outcome.kind: outcome.reason for outcome in await uplink.send(events(20))}
        assert set(kinds) == {SENT, HOLD}
        assert "resource limits exceeded for account (10002)" in kinds[HOLD]
        assert "nats account info" in kinds[HOLD]


async def test_stream_sealed_meanwhile_holds(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url)
    client = await server.client()
    js = client.jetstream()
    config = (await js.stream_info("EVENTS")).config
    await js.update_stream(config.evolve(sealed=True))
    await client.close()
    (outcome,) = await uplink.send(events(1))
    assert outcome.kind is HOLD
    assert "sealed" in outcome.reason


async def test_stream_removed_meanwhile_is_tried_again_and_then_explained(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url)
    await uplink.send(events(1))
    client = await server.client()
    await client.jetstream().delete_stream("EVENTS")
    await client.close()
    outcomes = await uplink.send(events(2))
    assert [(outcome.kind, outcome.unknown) for outcome in outcomes] == [(RETRY, False)] * 2
    assert "nobody takes evt.v1.acme.test.area.line.cell.limit.raised" in outcomes[0].reason
    with pytest.raises(NotConnected, match="nobody takes"):
        await uplink.send(events(2))
    with pytest.raises(NotConnected, match=r"there is no stream 'EVENTS'; create it \(nats stream add EVENTS"):
        await make(server.url)


@pytest.mark.parametrize("limit", ["max_payload", "max_msg_size"])
async def test_event_too_large_is_parked_alone(make: Make, limit: str) -> None:
    """By the server's limit it is not even sent: the server would close the connection."""
    async with NatsServer(extra="max_payload: 4096" if limit == "max_payload" else "") as server:
        await server.create_stream(**({"max_msg_size": 4096} if limit == "max_msg_size" else {}))
        uplink = await make(server.url)
        outcomes = await uplink.send([event(1), event(2, data=b'"' + b"x" * 5000 + b'"'), event(3)])
        assert [outcome.kind for outcome in outcomes] == [SENT, PARK, SENT]
        assert re.search("more than the server takes|message size exceeds maximum allowed", outcomes[1].reason)
        assert outcomes[1].code in ("max_payload", "10054")
        assert await server.message_ids() == [event(1).id, event(3).id]


async def test_a_larger_limit_of_the_server_is_noticed_before_an_event_is_parked(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload of the server cuts no connection, and tells nobody."""
    large = event(1, data=b'"' + b"x" * 5000 + b'"')
    async with NatsServer(extra="max_payload: 4096") as server:
        await server.create_stream()
        uplink = await make(server.url)
        await server.reload(extra="max_payload: 8192")
        assert [outcome.kind for outcome in await uplink.send([large])] == [PARK], "it was asked just now"
        monkeypatch.setattr("gateway.uplink.nats.uplink.LIMIT_SECONDS", 0.0)
        with pytest.raises(NotConnected, match="asking again what it takes"):
            await uplink.send([event(2), large])
        assert await server.message_ids() == []
        monkeypatch.undo()
        assert [outcome.kind for outcome in await (await make(server.url)).send([large])] == [SENT]


async def test_dead_server_is_told_at_once_in_its_words(make: Make) -> None:
    server = NatsServer()
    with pytest.raises(NotConnected, match="refused"):
        await make(server.url, timeout="9s")


async def test_second_server_is_taken_when_the_first_is_dead(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(f"{NatsServer().url},{server.url}")
    assert [outcome.kind for outcome in await uplink.send(events(1))] == [SENT]


async def test_server_lost_during_a_send_is_told_before_the_timeout(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url, timeout="20s")
    server.freeze()
    sending = asyncio.create_task(uplink.send(events(3)))
    await asyncio.sleep(0.02)
    await server.kill()
    async with asyncio.timeout(5):
        outcomes = await sending
    assert {outcome.kind for outcome in outcomes} == {RETRY}
    with pytest.raises(NotConnected, match="connection lost"):
        await uplink.send(events(1))


async def test_late_acknowledgements_of_a_timed_out_batch_are_not_taken_for_the_next(server: NatsServer, make: Make) -> None:
    await server.create_stream(max_msgs=3, discard="new")
    uplink = await make(server.url, timeout="300ms")
    server.freeze()
    late = await uplink.send(events(3))
    server.thaw()
    outcomes = await uplink.send(events(3, first=4))
    assert [outcome.kind for outcome in late] == [RETRY] * 3
    assert [outcome.kind for outcome in outcomes] == [HOLD] * 3
    assert len(await server.message_ids()) == 3


async def test_killed_again_and_again_loses_and_doubles_nothing(server: NatsServer, make: Make) -> None:
    """The outbox's rule, in small: what is not told sent is sent again with the same id."""
    await server.create_stream()
    waiting = {e.id: e for e in events(600)}
    for pause in (0.0, 0.001, 0.003, 0.01):
        uplink = await make(server.url, in_flight=16)
        sending = asyncio.create_task(uplink.send(list(waiting.values())))
        await asyncio.sleep(pause)
        await server.kill()
        for sent, outcome in zip(list(waiting.values()), await sending, strict=True):
            if outcome.kind in (SENT, DUPLICATE):
                del waiting[sent.id]
        await uplink.close()
        await server.start()
    uplink = await make(server.url)
    assert {outcome.kind for outcome in await uplink.send(list(waiting.values()))} <= {SENT, DUPLICATE}
    ids = await server.message_ids()
    assert sorted(ids) == [e.id for e in events(600)]
