"""The CRM's inbox over real HTTPS: upsert, repeats, a cut uplink, who may read."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from gateway.demo.inbox import Inbox
from gateway.events.build import rfc3339

Post = Callable[[dict[str, Any]], Awaitable[int]]


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    started = Inbox(token="t0ken")
    started.port = await started.start()  # type: ignore[attr-defined]
    yield started
    await started.stop()


@pytest.fixture
async def post(inbox: Inbox) -> AsyncIterator[Post]:
    trusted = ssl.create_default_context(cafile=str(inbox.receiver.ca))
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer t0ken"}) as session:

        async def send(event: dict[str, Any]) -> int:
            async with session.post(inbox.receiver.url, data=json.dumps(event), ssl=trusted) as answer:
                return answer.status

        yield send


def event(identity: str, sequence: int, state: str = "raised", *, incident: str = "inc-a", age_seconds: float = 0.25) -> dict[str, Any]:
    now_ns = time.time_ns()
    times = {"time": rfc3339(now_ns - int(age_seconds * 1e9)), "recordedtime": rfc3339(now_ns)}
    data = {"incident": incident, "state": state, "machine": "pump-3", "condition": incident, "raised": times["time"]}
    data |= {"severity": "warning", "title": "outer race", "asset": "A1"}
    return {"id": identity, "source": "urn:lineside:acme:dresden:gw", "sequence": str(sequence), **times, "data": data}


async def ask(inbox: Inbox, path: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
    url = f"http://127.0.0.1:{inbox.port}{path}"  # type: ignore[attr-defined]
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.json(), dict(answer.headers)


async def test_case_is_upserted_and_shown(inbox: Inbox, post: Post) -> None:
    assert await post(event("e1", 1)) == 202
    assert await post(event("e2", 2, "updated")) == 202
    status, cases, _ = await ask(inbox, "/cases")
    assert status == 200
    assert [(case["incident"], case["events"], case["state"]) for case in cases] == [("inc-a", 2, "open")]
    assert (await ask(inbox, "/cases/inc-a"))[1]["evidence"] == {}
    assert (await ask(inbox, "/cases/inc-b"))[0] == 404


async def test_the_picture_of_a_case_is_shown_and_runs_no_script(inbox: Inbox, post: Post) -> None:
    drawn = event("e1", 1)
    drawn["data"]["evidence"] = {"picture_svg": "<svg xmlns='http://www.w3.org/2000/svg'/>"}
    assert await post(drawn) == 202
    assert await post(event("e2", 2, incident="inc-b")) == 202
    url = f"http://127.0.0.1:{inbox.port}/cases"  # type: ignore[attr-defined]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/inc-a/picture.svg") as answer:
            assert (answer.status, answer.content_type) == (200, "image/svg+xml")
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert (await answer.text()).startswith("<svg")
        async with session.get(f"{url}/inc-b/picture.svg") as answer:
            assert answer.status == 404
        async with session.get(url) as answer:
            assert {case["incident"]: case["pictured"] for case in await answer.json()} == {"inc-a": True, "inc-b": False}


async def test_same_event_again_is_a_repeat_and_not_counted_twice(inbox: Inbox, post: Post) -> None:
    again = event("e1", 1)
    assert [await post(again), await post(again)] == [202, 202]
    figures = inbox.figures()
    assert (figures["events"], figures["repeats"], figures["doubled"], figures["cases"]) == (1, 1, 0, 1)
    assert len(figures["latencies_ms"]) == 1


async def test_same_happening_under_two_ids_is_counted_twice(inbox: Inbox, post: Post) -> None:
    await post(event("e1", 1))
    await post(event("e2", 2))
    assert inbox.figures()["doubled"] == 1


async def test_latency_runs_from_the_sample_to_the_arrival(inbox: Inbox, post: Post) -> None:
    await post(event("e1", 1, age_seconds=3.0))
    (latency,) = inbox.figures()["latencies_ms"]
    assert 3000 <= latency < 5000


async def test_stranger_without_the_token_is_refused(inbox: Inbox) -> None:
    trusted = ssl.create_default_context(cafile=str(inbox.receiver.ca))
    async with aiohttp.ClientSession() as session, session.post(inbox.receiver.url, json=event("e1", 1), ssl=trusted) as answer:
        assert answer.status == 401
    assert inbox.figures()["cases"] == 0


async def test_cut_refuses_connections_while_the_cases_stay_readable(inbox: Inbox, post: Post) -> None:
    await post(event("e1", 1))
    await inbox.cut()
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(event("e2", 2, "updated"))
    assert len((await ask(inbox, "/cases"))[1]) == 1
    await inbox.back()
    assert await post(event("e2", 2, "updated")) == 202
    assert inbox.figures()["events"] == 2


async def test_what_the_cut_made_late_is_counted_but_not_timed(inbox: Inbox, post: Post) -> None:
    await post(event("e1", 1))
    await inbox.cut()
    late = [event("e2", 2, incident="inc-b"), event("e3", 3, incident="inc-c")]
    await inbox.back()
    for each in late:
        await post(each)
    assert len(inbox.figures()["latencies_ms"]) == 1
    await post(event("e4", 4, incident="inc-d"))
    assert len(inbox.figures()["latencies_ms"]) == 2
    assert inbox.figures()["cases"] == 4


async def test_only_what_raises_a_case_is_timed(inbox: Inbox, post: Post) -> None:
    for sequence, state in enumerate(("raised", "updated", "cleared")):
        await post(event(f"e{sequence}", sequence, state))
    assert len(inbox.figures()["latencies_ms"]) == 1
