"""Against the real nats-server: acknowledgements, refusals, faults, the CloudEvents binding."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nats
import pytest
import trustme
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


async def test_missing_stream_is_not_connected_with_the_remedy(server: NatsServer, make: Make) -> None:
    with pytest.raises(NotConnected, match=r"no stream 'EVENTS'.*create_stream: true"):
        await make(server.url)


async def test_missing_stream_is_created_on_request(server: NatsServer, make: Make) -> None:
    uplink = await make(server.url, create_stream=True)
    assert [outcome.kind for outcome in await uplink.send(events(1))] == [SENT]
    client = await nats.connect(server.url)
    config = (await client.jetstream().stream_info("EVENTS")).config
    await client.close()
    assert (config.subjects, config.storage, config.duplicate_window) == (["evt.v1.>"], "file", 1800.0)


async def test_stream_for_other_subjects_holds(server: NatsServer, make: Make) -> None:
    await server.create_stream(subjects="other.>")
    uplink = await make(server.url)
    outcomes = await uplink.send(events(3))
    assert {outcome.kind for outcome in outcomes} == {HOLD}
    assert "no stream takes subject evt.v1.>" in outcomes[0].reason


async def test_full_stream_is_tried_again(server: NatsServer, make: Make) -> None:
    await server.create_stream(max_msgs=4, discard="new")
    uplink = await make(server.url)
    outcomes = await uplink.send(events(6))
    assert [outcome.kind for outcome in outcomes] == [SENT] * 4 + [RETRY] * 2
    assert "maximum messages exceeded" in outcomes[5].reason


async def test_sealed_stream_holds(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url)
    client = await nats.connect(server.url)
    js = client.jetstream()
    config = (await js.stream_info("EVENTS")).config
    await js.update_stream(config.evolve(sealed=True))
    await client.close()
    (outcome,) = await uplink.send(events(1))
    assert outcome.kind is HOLD
    assert "sealed" in outcome.reason


@pytest.mark.parametrize("limit", ["max_payload", "max_msg_size"])
async def test_event_too_large_is_parked_alone(make: Make, limit: str) -> None:
    """By the server's limit it is not even sent: the server would close the connection."""
    async with NatsServer(extra="max_payload: 4096" if limit == "max_payload" else "") as server:
        await server.create_stream(**({"max_msg_size": 4096} if limit == "max_msg_size" else {}))
        uplink = await make(server.url)
        outcomes = await uplink.send([event(1), event(2, data=b'"' + b"x" * 5000 + b'"'), event(3)])
        assert [outcome.kind for outcome in outcomes] == [SENT, PARK, SENT]
        assert re.search("more than the server takes|exceed", outcomes[1].reason)
        assert await server.message_ids() == [event(1).id, event(3).id]


@pytest.mark.parametrize(
    ("authorization", "options"),
    [
        ('authorization { user: edge, password: "pw" }', {"user": "edge", "password": {"secret": "word"}}),
        ('authorization { token: "pw" }', {"token": {"secret": "word"}}),
    ],
)
async def test_right_secret_connects_and_a_wrong_one_does_not(make: Make, authorization: str, options: dict[str, Any]) -> None:
    async with NatsServer(extra=authorization) as server:
        await make(server.url, secrets={"word": "pw"}, create_stream=True, **options)
        with pytest.raises(NotConnected, match="Authorization Violation") as caught:
            await make(server.url, secrets={"word": "wrong-one"}, **options)
        assert "wrong-one" not in str(caught.value)
        with pytest.raises(NotConnected, match="Authorization Violation"):
            await make(server.url)


async def test_tls_by_an_authority_that_is_known_and_one_that_is_not(make: Make, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    extra = f'tls {{ cert_file: "{tmp_path / "cert.pem"}", key_file: "{tmp_path / "key.pem"}" }}'
    async with NatsServer(extra=extra) as server:
        url = f"tls://localhost:{server.port}"
        uplink = await make(url, ca=str(tmp_path / "ca.pem"), create_stream=True)
        assert [outcome.kind for outcome in await uplink.send(events(2))] == [SENT, SENT]
        with pytest.raises(NotConnected, match="certificate"):
            await make(url, ca=str(tmp_path / "other.pem"))
        with pytest.raises(NotConnected, match="certificate"):
            await make(url)


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
    assert [outcome.kind for outcome in outcomes] == [RETRY] * 3
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
