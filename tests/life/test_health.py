"""`lineside health`: what the page says, or what the state shows where there is no page."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from click.testing import Result

from gateway.clock import Record, gateway_now_ns, record, signs
from gateway.commands import page as page_
from gateway.config.glance import Glance, glance
from gateway.outbox.lock import state_lock
from gateway.testkit.servers.https import Receiver

Lineside = Callable[..., Result]


@contextmanager
def page(gateway: Any, status: Callable[[], int]) -> Iterator[None]:
    def answer(path: str) -> tuple[int, str]:
        code = status() if path == "/healthz" else 404
        return code, json.dumps({"healthy": code == 200, "outbox": "disk I/O error"})

    with gateway.page(answer, host="0.0.0.0"):
        yield


def test_as_the_page_says(gateway: Any, lineside: Lineside) -> None:
    answers = iter([200, 503, 503, 503, 200])
    with page(gateway, lambda: next(answers)):
        assert lineside("health", gateway.file).exit_code == 0
        done = lineside("health", gateway.file)
        assert (done.exit_code, "answers 503: healthy=False, outbox=disk I/O error" in done.stdout) == (1, True)
        done = lineside("health", gateway.file, "--wait", 20, "--json")
        assert (done.exit_code, json.loads(done.stdout)["healthy"]) == (0, True)


def test_a_page_nobody_listens_at_and_one_that_never_answers(gateway: Any, lineside: Lineside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_, "ANSWER_SECONDS", 0.2)
    release = threading.Event()
    with page(gateway, lambda: 200 + release.wait(10)):
        done = lineside("health", gateway.file)
        assert (done.exit_code, "does not answer: timed out" in done.stdout) == (1, True)
        release.set()
    done = lineside("health", gateway.file, "--wait", 0.6)
    assert (done.exit_code, "Connection refused" in done.stdout) == (1, True)


def test_without_a_page_by_lock_and_sign_of_life(gateway: Any, lineside: Lineside) -> None:
    def alive(seconds_ago: float) -> None:
        with closing(sqlite3.connect(gateway.state / "outbox.db")) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO note VALUES ('alive_ns', ?)", (str(time.time_ns() - int(seconds_ago * 1e9)),))

    alive(1)
    done = lineside("health", gateway.file)
    assert (done.exit_code, "no gateway runs with the state folder" in done.stdout) == (1, True)
    with state_lock(gateway.state):
        done = lineside("health", gateway.file)
        assert (done.exit_code, "it has no page to ask" in done.stdout) == (0, True)
        alive(400)
        done = lineside("health", gateway.file)
        assert (done.exit_code, "last sign of life is 400 s old" in done.stdout) == (1, True)
        (gateway.state / "outbox.db").unlink()
        assert lineside("health", gateway.file).exit_code == 1


def test_a_sign_of_life_is_as_old_as_the_clock_of_the_gateway_says_and_not_this_machines(gateway: Any, lineside: Lineside) -> None:
    """Without a time server and a battery the gateway keeps a time of its own: an update there was undone."""
    known = Record(boot=signs.boot_id(), offset_ns=10**18, state="not_yet")
    record.save(gateway.state, msgspec.json.encode(known))
    for ago, code in ((30, 0), (400, 1)):
        with closing(sqlite3.connect(gateway.state / "outbox.db")) as connection, connection:
            then_ns = gateway_now_ns(gateway.state) - ago * 10**9
            connection.execute("INSERT OR REPLACE INTO note VALUES ('alive_ns', ?)", (str(then_ns),))
        with state_lock(gateway.state):
            done = lineside("health", gateway.file)
        assert (done.exit_code, f"its last sign of life is {ago} s old" in done.stdout) == (code, True)


async def test_a_page_that_speaks_https(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate is for another name; the receiver stands in for the page and knows no /healthz."""
    async with Receiver(tls=True) as receiver:
        known = Glance(site=("a", "b", "c"), state_dir=gateway.state, page=("127.0.0.1", receiver.port), tls=True)
        status, _ = await asyncio.to_thread(page_.ask, known, "/healthz")
        assert status == 404
        with pytest.raises((OSError, http.client.HTTPException)):
            await asyncio.to_thread(page_.ask, replace(known, tls=False), "/healthz")


def test_a_page_that_is_not_open_to_the_network_yet(gateway: Any) -> None:
    """Nobody can log in, so it listens at the loopback only."""
    with page(gateway, lambda: 200):
        known = glance(gateway.file)
        assert known.page is not None
        assert page_.ask(replace(known, page=("127.0.0.2", known.page[1])), "/healthz")[0] == 200


def test_wrong_input(lineside: Lineside, gateway: Any) -> None:
    done = lineside("health", "missing.yaml")
    assert (done.exit_code, "there is no file missing.yaml" in done.stderr) == (2, True)
    gateway.file.write_text("{")
    assert lineside("health", gateway.file).exit_code == 2
    assert lineside("health", gateway.file, "--wait", -1).exit_code == 2
