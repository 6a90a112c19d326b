"""Against a real receiver over HTTP and HTTPS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from gateway import registry
from gateway.contract import NotConnected, OutcomeKind, Uplink
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import event
from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.ports import free_port

SENT, DUPLICATE, RETRY, PARK, HOLD = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY", "PARK", "HOLD"))
Make = Callable[..., Any]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """``make(url, **options)``: a connected uplink, closed at the end."""
    made: list[Uplink] = []

    async def build(url: str, *, secret: str = "s3cret", **options: Any) -> Uplink:
        plugin = registry.uplink("https")
        given = {"https": url, "timeout": "1s"} | options
        uplink = plugin.build(plugin.options.model_validate(given), uplink_context(secrets={"crm": secret}))
        made.append(uplink)
        await uplink.connect()
        return uplink

    yield build
    for uplink in made:
        await uplink.close()


async def kinds(uplink: Uplink, *numbers: int) -> list[OutcomeKind]:
    return [outcome.kind for outcome in await uplink.send([event(n) for n in numbers])]


@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_event_arrives_as_a_cloudevent(receiver: Receiver, make: Make, mode: str) -> None:
    uplink = await make(receiver.url, mode=mode)
    assert await kinds(uplink, 1, 2) == [SENT, SENT]
    document = receiver.events["ev-00000001"]
    assert document["specversion"] == "1.0"
    assert document["type"] == "io.lineside.limit.raised.v1"
    assert document["time"] == "2027-01-15T08:00:00.000000001Z"
    assert document["severitynumber"] == 13
    assert document["data"] == {"n": 1}


@pytest.mark.parametrize(("mode", "requests"), [("structured", 8), ("batch", 1)])
async def test_batch_is_one_request_and_structured_is_one_each(receiver: Receiver, make: Make, mode: str, requests: int) -> None:
    uplink = await make(receiver.url, mode=mode)
    assert await kinds(uplink, *range(8)) == [SENT] * 8
    assert receiver.requests == requests


async def test_batch_is_halved_until_only_the_poison_is_parked(receiver: Receiver, make: Make) -> None:
    receiver.poison = {"ev-00000003", "ev-00000060"}
    uplink = await make(receiver.url, mode="batch")
    outcomes = await uplink.send([event(n) for n in range(100)])
    assert [n for n, outcome in enumerate(outcomes) if outcome.kind is PARK] == [3, 60]
    assert "refused" in outcomes[3].reason
    assert {outcome.kind for n, outcome in enumerate(outcomes) if n not in (3, 60)} == {SENT}
    assert set(receiver.events) == {f"ev-{n:08d}" for n in range(100) if n not in (3, 60)}
    assert receiver.repeats == 0
    assert receiver.requests < 30


async def test_halving_that_is_cut_short_keeps_what_was_delivered(make: Make) -> None:
    def hang(_: Any) -> None:
        server.hang = True

    server = Receiver(on_event=hang)
    server.poison = {"ev-00000007"}
    await server.start()
    uplink = await make(server.url, mode="batch", timeout="500ms")
    got = await kinds(uplink, *range(8))
    assert got[:4] == [SENT] * 4
    assert set(got[4:]) == {RETRY}
    await server.stop()


@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_busy_receiver_is_left_alone_as_long_as_it_says(receiver: Receiver, make: Make, mode: str) -> None:
    receiver.status, receiver.retry_after = 429, "17"
    uplink = await make(receiver.url, mode=mode, concurrency=1)
    outcomes = await uplink.send([event(n) for n in range(20)])
    assert {(outcome.kind, outcome.after_seconds) for outcome in outcomes} == {(RETRY, 17.0)}
    assert receiver.requests == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(409, DUPLICATE), (401, HOLD), (404, HOLD), (413, PARK), (422, PARK), (503, RETRY), (500, RETRY)]
)
async def test_status_becomes_an_outcome(receiver: Receiver, make: Make, status: int, kind: OutcomeKind) -> None:
    receiver.status = status
    uplink = await make(receiver.url)
    (outcome,) = await uplink.send([event(1)])
    assert outcome.kind is kind
    assert kind is DUPLICATE or str(status) in outcome.reason


async def test_redirect_is_not_followed(make: Make) -> None:
    asked: list[str] = []

    class Redirecting(Receiver):
        def routes(self) -> list[Any]:
            return [("POST", "/old", self.old), ("*", "/stolen", self.stolen)]

        async def old(self, request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": "/stolen"})

        async def stolen(self, request: web.Request) -> web.Response:
            asked.append(request.headers.get("Authorization", ""))
            return web.Response(status=200)

    async with Redirecting() as receiver:
        uplink = await make(receiver.url.replace("/events", "/old"), token={"secret": "crm"})
        (outcome,) = await uplink.send([event(1)])
    assert outcome.kind is HOLD
    assert "redirect" in outcome.reason
    assert asked == []


async def test_token_is_sent_and_a_wrong_one_holds(make: Make) -> None:
    async with Receiver(token="s3cret") as receiver:
        right = await make(receiver.url, token={"secret": "crm"})
        wrong = await make(receiver.url, token={"secret": "crm"}, secret="stolen")
        assert await kinds(right, 1) == [SENT]
        (outcome,) = await wrong.send([event(2)])
    assert outcome.kind is HOLD
    assert "credentials" in outcome.reason
    assert "stolen" not in outcome.reason


async def test_more_headers_are_sent(make: Make) -> None:
    seen: list[str | None] = []

    class Watching(Receiver):
        async def _receive(self, request: web.Request) -> web.Response:
            seen.extend([request.headers.get("X-Plant"), request.headers.get("Idempotency-Key")])
            return await super()._receive(request)

    async with Watching() as receiver:
        uplink = await make(receiver.url, headers={"X-Plant": "dresden"})
        assert await kinds(uplink, 1) == [SENT]
    assert seen == ["dresden", "ev-00000001"]


async def test_own_authority_is_trusted(make: Make) -> None:
    async with Receiver(tls=True) as receiver:
        uplink = await make(receiver.url, ca=str(receiver.ca))
        assert await kinds(uplink, 1) == [SENT]


async def test_unknown_authority_is_not_connected(make: Make) -> None:
    async with Receiver(tls=True) as receiver:
        with pytest.raises(NotConnected, match="certificate refused: unable to get local issuer"):
            await make(receiver.url)
        assert receiver.requests == 0


async def test_dead_receiver_is_told_in_words(make: Make) -> None:
    with pytest.raises(NotConnected, match="connection refused"):
        await make(f"http://127.0.0.1:{free_port()}/events")


async def test_receiver_that_dies_after_connecting_is_told_in_words(receiver: Receiver, make: Make) -> None:
    uplink = await make(receiver.url.replace("localhost", "127.0.0.1"))
    await receiver.stop()
    with pytest.raises(NotConnected, match="connection refused"):
        await uplink.send([event(1)])


async def test_receiver_that_never_answers_the_handshake_is_told_in_time(make: Make) -> None:
    released = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.transport.abort()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    with pytest.raises(NotConnected, match=r"no answer within 0\.2 s"):
        await make(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/events", timeout="200ms")
    released.set()
    server.close()


async def test_certificate_of_another_host_is_not_connected(make: Make) -> None:
    async with Receiver(tls=True) as receiver:
        with pytest.raises(NotConnected):
            await make(f"https://127.0.0.2:{receiver.port}/events", ca=str(receiver.ca))


async def test_authority_that_is_no_file_is_not_connected(make: Make, tmp_path: Any) -> None:
    with pytest.raises(NotConnected, match="cannot be used"):
        await make("https://localhost:1/", ca=str(tmp_path / "missing.pem"))
    (tmp_path / "empty.pem").write_text("not a certificate")
    with pytest.raises(NotConnected, match="cannot be used"):
        await make("https://localhost:1/", ca=str(tmp_path / "empty.pem"))


@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_hung_receiver_is_retry_in_time(receiver: Receiver, make: Make, mode: str) -> None:
    receiver.hang = True
    uplink = await make(receiver.url, mode=mode, timeout="300ms")
    began = time.monotonic()
    outcomes = await uplink.send([event(n) for n in range(5)])
    assert time.monotonic() - began < 1.0
    assert {outcome.kind for outcome in outcomes} == {RETRY}
    assert "0.3 s" in outcomes[0].reason


async def test_receiver_that_hangs_up_is_unknown(make: Make) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    uplink = await make(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events", mode="batch")
    (outcome,) = await uplink.send([event(1)])
    assert outcome.kind is RETRY
    assert outcome.reason.startswith("unknown")
    server.close()


async def test_endless_answer_is_read_only_in_part(make: Make) -> None:
    class Endless(Receiver):
        async def _receive(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
            answer = web.StreamResponse(status=422)
            await answer.prepare(request)
            while True:
                await answer.write(b"x" * 65536)

    async with Endless() as receiver:
        uplink = await make(receiver.url)
        (outcome,) = await uplink.send([event(1)])
    assert outcome.kind is PARK
    assert len(outcome.reason) < 300


async def test_events_of_one_machine_keep_their_order(receiver: Receiver, make: Make) -> None:
    uplink = await make(receiver.url, concurrency=8)
    machines = [f"press-{n % 5}" for n in range(60)]
    outcomes = await uplink.send([replace(event(n), partitionkey=machine) for n, machine in enumerate(machines)])
    assert {outcome.kind for outcome in outcomes} == {SENT}
    for machine in set(machines):
        numbers = [int(i.removeprefix("ev-")) for i in receiver.order if receiver.events[i]["partitionkey"] == machine]
        assert numbers == sorted(numbers)
