"""Logging in and out: the cookie, guessing, what the audit learns."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from gateway.testkit.clock import FakeClock
from gateway.web import login
from gateway.web.backoff import Attempts
from gateway.web.failures import Failures

PASSWORD = "correct horse battery"


def own(guarded: Any) -> dict[str, str]:
    return {"Origin": guarded.url, "Content-Type": "application/json"}


async def attempt(guarded: Any, stranger: aiohttp.ClientSession, user: str, password: str) -> aiohttp.ClientResponse:
    async with stranger.post("/api/login", json={"user": user, "password": password}, headers=own(guarded)) as reply:
        await reply.read()
        return reply


async def test_a_login_gives_a_cookie_no_script_and_no_other_site_gets(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    reply = await attempt(guarded, stranger, "engineer", PASSWORD)
    assert (reply.status, await reply.json()) == (200, {"name": "engineer", "role": "engineer"})
    port = guarded.url.rpartition(":")[2]
    morsel = reply.cookies[f"lineside-{port}"]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["domain"], morsel["max-age"]) == (True, "Strict", "/", "", "")
    assert len(morsel.value) == 43
    async with stranger.get("/api/me", cookies={morsel.key: morsel.value}) as me:
        assert await me.json() == {"name": "engineer", "role": "engineer", "kind": "user"}
    assert guarded.notes == [("login", "engineer", "", "from this machine")]
    async with stranger.post("/api/logout", headers=own(guarded), cookies={morsel.key: morsel.value}) as out:
        assert out.cookies[morsel.key].value == ""
    async with stranger.get("/api/me", cookies={morsel.key: morsel.value}) as me:
        assert me.status == 401
    assert [note[:2] for note in guarded.notes] == [("login", "engineer"), ("logout", "engineer")]


async def test_a_token_cannot_fill_the_audit_with_logouts(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    async with stranger.post("/api/logout", headers={"Authorization": "Bearer token-viewer"}) as reply:
        assert reply.status == 200
    assert guarded.notes == []


async def test_who_logs_in_and_out_in_a_loop_does_not_fill_the_audit(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    for _ in range(12):
        reply = await attempt(guarded, stranger, "viewer", PASSWORD)
        (morsel,) = reply.cookies.values()
        async with stranger.post("/api/logout", headers=own(guarded), cookies={morsel.key: morsel.value}) as out:
            assert out.status == 200
    await attempt(guarded, stranger, "admin", PASSWORD)
    each = [("login", "viewer", "", "from this machine"), ("logout", "viewer", "", "from this machine")]
    assert guarded.notes == [*(each * 5), ("login", "admin", "", "from this machine")]
    guarded.notes.clear()
    await guarded.clock.advance(61)
    guarded.login.sum_up()
    assert guarded.notes == [(what, "viewer", "", "7 more times, the last from this machine") for what in ("login", "logout")]
    await attempt(guarded, stranger, "viewer", PASSWORD)
    assert guarded.notes[2:] == each[:1]


async def test_a_cookie_set_before_is_not_the_one_after(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    cookie = guarded.cookie("viewer")
    async with stranger.post("/api/login", json={"user": "admin", "password": PASSWORD}, headers=own(guarded), cookies=cookie) as reply:
        (made,) = reply.cookies.values()
    assert made.value not in cookie.values()
    async with stranger.get("/api/me", cookies=cookie) as reply:
        assert reply.status == 401


async def test_nobody_learns_who_there_is(guarded: Any, stranger: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(login, "matches", lambda password, stored: bool(compared.append(stored)))
    guarded.change("viewer", locked=True)
    said = []
    for user in ("engineer", "nobody", "viewer", "", "x" * 500):
        reply = await attempt(guarded, stranger, user, "a wrong password")
        said.append((reply.status, await reply.text()))
        await guarded.clock.advance(120)
    assert set(said) == {(401, '{"error":"user or password is wrong"}')}
    assert len(compared) == 5  # as much work for each
    assert [name for _, name, _, _ in guarded.notes] == ["engineer", "nobody", "viewer", "(no name)", "(no name)"]


async def test_a_locked_user_does_not_get_in_with_the_right_password(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    guarded.change("operator", locked=True)
    assert (await attempt(guarded, stranger, "operator", PASSWORD)).status == 401


async def test_who_guesses_waits_longer_and_longer(guarded: Any, stranger: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "matches", lambda password, stored: password == PASSWORD)
    for _ in range(3):
        assert (await attempt(guarded, stranger, "admin", "wrong")).status == 401
    waits = []
    for _ in range(8):
        reply = await attempt(guarded, stranger, "admin", PASSWORD)
        assert reply.status == 429
        waits.append(int(reply.headers["Retry-After"]))
        await guarded.clock.advance(waits[-1])
        assert (await attempt(guarded, stranger, "admin", "wrong")).status == 401
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    await guarded.clock.advance(60)
    assert (await attempt(guarded, stranger, "admin", PASSWORD)).status == 200
    assert (await attempt(guarded, stranger, "admin", PASSWORD)).status == 200
    assert guarded.counts.total("logins", result="too_fast") == 8


async def test_many_at_once_gain_nothing(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    replies = await asyncio.gather(*(attempt(guarded, stranger, "admin", f"guess number {number}") for number in range(20)))
    statuses = [reply.status for reply in replies]
    assert statuses.count(401) <= 4
    assert set(statuses) <= {401, 429, 503}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"user": "admin"}', b'{"user": 1, "password": "x"}', b"\xff", b"{" * 3000])
async def test_nonsense_is_no_login(guarded: Any, stranger: aiohttp.ClientSession, body: bytes) -> None:
    async with stranger.post("/api/login", data=body, headers=own(guarded)) as reply:
        assert reply.status == 400


async def test_a_long_body_is_not_read(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    async with stranger.post("/api/login", data=b"x" * 100_000, headers=own(guarded)) as reply:
        assert reply.status == 413


async def test_a_body_that_does_not_come_is_given_up(
    guarded: Any, stranger: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "BODY_SECONDS", 0.2)

    async def dripping() -> Any:
        yield b'{"user":'
        await asyncio.sleep(5)

    async with stranger.post("/api/login", data=dripping(), headers=own(guarded)) as reply:
        assert reply.status == 408


class TestBackoff:
    async def test_a_stranger_who_guesses_does_not_keep_the_owner_out(self) -> None:
        clock = FakeClock()
        attempts = Attempts(clock.monotonic)
        attempts.begin("eva", "10.0.0.1")
        attempts.passed("eva", "10.0.0.1")
        for _ in range(100):
            attempts.begin("eva", "10.6.6.6")
        assert attempts.wait("eva", "10.0.0.1") == 0
        assert attempts.wait("eva", "10.0.0.2") == 30
        assert attempts.wait("eva", "10.6.6.6") == 60
        assert attempts.wait("tom", "10.0.0.2") == 0

    async def test_an_own_login_in_between_does_not_make_guesses_free(self) -> None:
        """Behind one address (a tunnel, an office) with the one whose password is guessed, who has logged in from there."""
        clock = FakeClock()
        attempts = Attempts(clock.monotonic)
        attempts.begin("admin", "10.0.0.1")
        attempts.passed("admin", "10.0.0.1")
        guesses = 0
        for _ in range(600):
            if attempts.wait("admin", "10.0.0.1") == 0:
                attempts.begin("admin", "10.0.0.1")
                guesses += 1
            attempts.begin("tom", "10.0.0.1")
            attempts.passed("tom", "10.0.0.1")
            await clock.advance(1)
        assert guesses < 30
        await clock.advance(30)
        assert attempts.wait("admin", "10.0.0.1") == 0
        attempts.begin("admin", "10.0.0.1")
        attempts.passed("admin", "10.0.0.1")
        assert attempts.wait("admin", "10.0.0.1") == 0

    async def test_one_who_logs_in_often_from_one_place_makes_no_wait(self) -> None:
        attempts = Attempts(FakeClock().monotonic)
        for _ in range(10):
            attempts.begin("eva", "10.0.0.1")
            attempts.passed("eva", "10.0.0.1")
        assert attempts.wait("eva", "10.0.0.2") == 0

    async def test_it_is_forgotten_and_bounded(self) -> None:
        clock = FakeClock()
        attempts = Attempts(clock.monotonic)
        for number in range(5000):
            attempts.begin(f"user-{number}", "10.6.6.6")
        assert len(attempts._users._seen) == 1024
        await clock.advance(3601)
        assert attempts.wait("user-4999", "10.6.6.6") == 0


class TestFailuresInTheAudit:
    async def test_the_first_ones_stand_alone_and_a_flood_is_one_line(self) -> None:
        clock, told = FakeClock(), []
        failures = Failures(lambda name, after: told.append((name, after)), clock.monotonic)
        for number in range(1000):
            failures.add(f"user-{number % 100}", "10.6.6.6")
        assert told == [(f"user-{number}", "from 10.6.6.6") for number in range(5)]
        await clock.advance(61)
        failures.sum_up()
        assert len(told) == 6
        assert told[5][0] == "995 times"
        failures.sum_up(now=True)
        assert len(told) == 6
