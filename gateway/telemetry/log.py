"""The log: a verb and its facts, one line per change of state.

    log = logging.getLogger("lineside")
    log.warning("lost", extra={"fields": {"source": "press-07", "peer": "10.1.4.7:502", "why": "connection refused"}})

The message is the verb, constant, so that it can be searched for; everything that varies is a field. The first field,
when its name is one of `SUBJECTS`, says who and stands before the verb:

    console   14:03:07 WARNING source=press-07 lost peer=10.1.4.7:502 why="connection refused"
    journal   <4>source=press-07 lost peer=10.1.4.7:502 why="connection refused"
    json      {"time":"...","level":"warning","message":"lost","source":"press-07","peer":"10.1.4.7:502", ...}

Three promises hold for whatever is logged, also by libraries: secrets are masked (by the field's name, and passwords
inside URLs), one entry is one line (a traceback is indented, or a string in JSON), and a library that repeats itself
gets one line a minute.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO, TypeAlias

import msgspec
import numpy as np

from gateway.contract import Json

Style: TypeAlias = Literal["auto", "json", "journal", "console"]

OURS: Final = "lineside"
SUBJECTS: Final = frozenset({"source", "destination", "machine", "watch", "incident", "route"})
MASK: Final = "***"
QUIET_SECONDS: Final = 60.0

_SECRET_WORDS = frozenset({"password", "passwd", "passphrase", "token", "secret", "key", "credentials", "authorization", "cookie"})
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s@/]+@", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f]+")
_encode = msgspec.json.Encoder().encode
# sd-daemon(3): what systemd reads from the start of a line
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def configure(level: str = "info", style: Style = "auto", *, stream: TextIO | None = None) -> None:
    """Send the log to `stream` (standard error) from now on; may be called again, for example on reload.

    `level` is of our own entries; libraries are heard from WARNING upwards unless it is ``debug``.
    Raises ValueError for a level that does not exist.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"no such log level: {level}")
    out = stream if stream is not None else sys.stderr
    handler = _Handler(out)
    handler.setFormatter({"json": JsonLines, "journal": JournalLines, "console": ConsoleLines}[resolve(style, out)]())
    handler.addFilter(Repeats())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if number <= logging.DEBUG else max(number, logging.WARNING))
    logging.getLogger(OURS).setLevel(number)
    logging.captureWarnings(True)


def resolve(style: Style, stream: TextIO) -> Literal["json", "journal", "console"]:
    """What `auto` means here: the journal when systemd reads this very stream, a console when someone sits there, else JSON."""
    if style != "auto":
        return style
    if _is_journal(stream):
        return "journal"
    return "console" if stream.isatty() else "json"


def _is_journal(stream: TextIO) -> bool:
    """systemd.exec(5): JOURNAL_STREAM is device:inode of the journal's socket; a redirected stream differs."""
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` replaces it and leaves other handlers alone."""


class Repeats(logging.Filter):
    """Lets one entry a minute pass from each place in a library; our own entries always pass.

    Libraries log every failed attempt; we log the change of state. What was held back is told by the next entry.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}
        self._held: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if _ours(record) or record.levelno <= logging.DEBUG:
            return True
        place = (record.pathname, record.lineno)
        now = time.monotonic()
        if now - self._last.get(place, -QUIET_SECONDS) < QUIET_SECONDS:
            self._held[place] = self._held.get(place, 0) + 1
            return False
        self._last[place] = now
        if held := self._held.pop(place, 0):
            record.fields = {**_given(record), "repeated": held}
        return True


class ConsoleLines(logging.Formatter):
    """For eyes: local time, level, subject, verb, facts."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname} {_text(record, self)}"


class JournalLines(logging.Formatter):
    """For journald, which knows the time: every line carries its priority, or a traceback would be told as INFO."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITY.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in _text(record, self).split("\n"))


class JsonLines(logging.Formatter):
    """For machines: one object a line, facts beside time, level and message (a fact of such a name gets a ``_``)."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry: dict[str, Json] = {"time": moment, "level": record.levelname.lower(), "message": _clean(record.getMessage())}
        if record.name != OURS:
            entry["logger"] = record.name
        for name, value in fields(record).items():
            entry[f"{name}_" if name in entry or name == "exception" else name] = value
        if trace := _trace(record, self):
            entry["exception"] = trace
        return _encode(entry).decode()


def fields(record: logging.LogRecord) -> dict[str, Json]:
    """The facts of an entry, secrets masked."""
    return {name: _masked(name, value) for name, value in _given(record).items()}


def _given(record: logging.LogRecord) -> Mapping[str, Json]:
    given = getattr(record, "fields", None)
    return given if isinstance(given, Mapping) else {}


def _ours(record: logging.LogRecord) -> bool:
    return record.name == OURS or record.name.startswith(OURS + ".")


def _masked(name: str, value: Json) -> Json:
    """``client_key`` and ``Password`` are secrets, ``monkey`` is not.

    >>> _masked("api_token", "s3cret"), _masked("peer", "mqtt://edge:s3cret@broker:1883")
    ('***', 'mqtt://edge:***@broker:1883')
    """
    if _SECRET_WORDS & set(re.split(r"[^a-z]+", name.lower())):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, bool | int | float) else _clean(str(value))


def _clean(text: str) -> str:
    """Without passwords, and without the half characters that a wrongly decoded name brings."""
    return _USERINFO.sub(rf"\1:{MASK}@", text).encode("utf-8", "backslashreplace").decode()


def _text(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    line = " ".join(_words(record))
    trace = _trace(record, formatter)
    return f"{line}\n{_indented(trace)}" if trace else line


def _words(record: logging.LogRecord) -> Iterator[str]:
    pairs = [f"{name}={_quoted(value)}" for name, value in fields(record).items()]
    if pairs and next(iter(_given(record))) in SUBJECTS:
        yield pairs.pop(0)
    verb = _one_line(_clean(record.getMessage()))
    yield verb if _ours(record) else f"{record.name}: {verb}"
    yield from pairs


def _quoted(value: Json) -> str:
    """A bare word stays bare; everything else is JSON, so a newline or a quote cannot forge an entry."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.isprintable() else _one_line(_encode(value).decode())
    return f"{value:g}" if isinstance(value, float) else _one_line(_encode(value).decode())


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _trace(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return _clean("\n".join(parts))


def _indented(trace: str) -> str:
    return "\n".join("  " + _one_line(line) for line in trace.splitlines())
