"""One line per entry, facts beside the verb, no secrets; the same for our entries and for libraries."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.telemetry.log import Repeats, configure, resolve

LOST = {"source": "press3", "peer": "10.0.0.5:502", "why": "timed out after 1.0 s", "retry_seconds": 0.5}
log = logging.getLogger("lineside")


@pytest.fixture(autouse=True)
def _untouched_afterwards() -> Iterator[None]:
    root, levels = logging.getLogger(), (logging.getLogger().level, log.level)
    before = list(root.handlers)
    yield
    for handler in [h for h in root.handlers if h not in before]:
        root.removeHandler(handler)
    root.setLevel(levels[0])
    log.setLevel(levels[1])
    logging.captureWarnings(False)


def written(style: Any, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(level, style, stream=stream)
    return stream


def test_console_says_who_verb_facts() -> None:
    out = written("console")
    log.warning("lost", extra={"fields": LOST})
    line = 'WARNING source=press3 lost peer=10.0.0.5:502 why="timed out after 1.0 s" retry_seconds=0.5\n'
    assert re.fullmatch(r"\d\d:\d\d:\d\d " + re.escape(line), out.getvalue())


def test_only_the_first_field_can_be_the_subject() -> None:
    out = written("console")
    log.info("started", extra={"fields": {"version": "1.0", "source": "press3"}})
    log.info("listening")
    assert [line[9:] for line in out.getvalue().splitlines()] == ["INFO started version=1.0 source=press3", "INFO listening"]


def test_json_is_one_object_a_line() -> None:
    out = written("json")
    log.warning(
        "lost",
        extra={"fields": LOST | {"score": float("nan"), "level": 3, "n": np.int64(7), "x": np.float64(0.5), "file": Path("/a/\udcff")}},
    )
    log.info("back", extra={"fields": {"source": "press3", "after_seconds": 41}})
    lost, back = map(json.loads, out.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lost.pop("time"))
    assert lost == {"level": "warning", "message": "lost", **LOST, "score": None, "level_": 3, "n": 7, "x": 0.5, "file": "/a/\\udcff"}
    assert back["after_seconds"] == 41


def test_journal_gives_every_line_its_priority() -> None:
    out = written("journal", "debug")
    log.warning("lost", extra={"fields": LOST})
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        log.exception("failed", extra={"fields": {"source": "press3"}})
    log.debug("asked")
    lines = out.getvalue().splitlines()
    assert lines[0] == '<4>source=press3 lost peer=10.0.0.5:502 why="timed out after 1.0 s" retry_seconds=0.5'
    assert lines[1] == "<3>source=press3 failed"
    assert lines[2] == "<3>  Traceback (most recent call last):"
    assert all(line.startswith("<3>  ") for line in lines[2:-1])
    assert lines[-1] == "<7>asked"


def test_json_carries_the_traceback_in_one_line() -> None:
    out = written("json")
    try:
        raise RuntimeError("nats://edge:s3cret@hub:4222 refused")
    except RuntimeError:
        log.exception("failed")
    (line,) = out.getvalue().splitlines()
    assert "RuntimeError: nats://edge:***@hub:4222 refused" in json.loads(line)["exception"]


@pytest.mark.parametrize("style", ["console", "journal", "json"])
@pytest.mark.parametrize("name", ["password", "token", "key", "api_token", "client-key", "Password", "secret", "authorization"])
def test_secrets_are_masked_by_the_name_of_their_field(style: str, name: str) -> None:
    out = written(style)
    log.info("connected", extra={"fields": {"source": "m", name: "s3cret", "options": {name: ["s3cret"]}}})
    assert "s3cret" not in out.getvalue()
    assert "***" in out.getvalue()


def test_names_that_only_look_alike_are_not_masked() -> None:
    out = written("console")
    log.info("read", extra={"fields": {"monkey": "seen", "keyboard": "seen", "tokens_left": 3}})
    assert out.getvalue().endswith("read monkey=seen keyboard=seen tokens_left=3\n")


@pytest.mark.parametrize("style", ["console", "journal", "json"])
def test_passwords_in_addresses_are_masked_wherever_they_stand(style: str) -> None:
    out = written(style)
    log.info("connected", extra={"fields": {"peer": "mqtts://edge:s3cret@broker:8883", "peers": ["nats://a:s3cret@b"]}})
    logging.getLogger("nats").warning("no answer from nats://edge:s3cret@hub:4222")
    assert "s3cret" not in out.getvalue()
    assert "mqtts://edge:***@broker:8883" in out.getvalue()


@pytest.mark.parametrize("style", ["console", "journal"])
def test_a_value_cannot_forge_an_entry(style: str) -> None:
    out = written(style)
    log.info("back", extra={"fields": {"source": 'x\n<0>ERROR "y"', "why": "a\x1b[31m b\u2028c"}})
    logging.getLogger("paho").warning("said\n<0>boo")
    assert len(out.getvalue().splitlines()) == 2
    assert "\x1b" not in out.getvalue()


def test_level_is_ours_and_libraries_are_heard_from_warning() -> None:
    out = written("console", "info")
    log.debug("asked")
    log.info("started")
    logging.getLogger("protocol.client").info("hello")
    logging.getLogger("protocol.client").warning("bad %s", "thing")
    assert [line[9:] for line in out.getvalue().splitlines()] == ["INFO started", "WARNING protocol.client: bad thing"]


def test_debug_hears_libraries_too() -> None:
    out = written("console", "debug")
    logging.getLogger("pymodbus").debug("frame")
    assert "DEBUG pymodbus: frame" in out.getvalue()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="no such log level: loud"):
        configure("loud")


def test_a_library_that_repeats_itself_gets_one_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("gateway.telemetry.log.time.monotonic", lambda: now[0])
    chatter, ours = Repeats(), Repeats()

    def entry(name: str, line: int = 7) -> logging.LogRecord:
        return logging.LogRecord(name, logging.ERROR, "client.py", line, "refused", None, None)

    assert [chatter.filter(entry("paho")) for _ in range(4)] == [True, False, False, False]
    assert chatter.filter(entry("paho", line=8))
    now[0] += 60
    later = entry("paho")
    assert chatter.filter(later)
    assert later.fields == {"repeated": 3}  # type: ignore[attr-defined]
    assert all(ours.filter(entry("lineside")) for _ in range(4))


def test_configuring_again_replaces_our_handler_only() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = written("console"), written("json")
    log.info("started")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
    assert other in logging.getLogger().handlers


def test_warnings_of_libraries_are_entries() -> None:
    out = written("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("mean of empty slice", RuntimeWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert json.loads(out.getvalue())["logger"] == "py.warnings"


def test_auto_is_the_journal_only_when_this_stream_is_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("w") as stream:
        stat = os.fstat(ours.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        assert resolve("auto", stream) == "journal"
        assert resolve("json", stream) == "json"
        assert resolve("auto", io.StringIO()) == "json"


def test_auto_is_the_console_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    terminal, line = os.openpty()
    with os.fdopen(line, "w") as stream:
        assert resolve("auto", stream) == "console"
    os.close(terminal)
