"""`lineside tail`: live values of a running gateway in the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.commands.database import Refused
from gateway.commands.printing import printable

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 24
_TIMEOUT_SECONDS = 5.0


@dataclass
class Row:
    """One tag as it is now, with what it was."""

    path: str
    value: float | None = None
    unit: str = ""
    quality: str = ""
    age_seconds: float | None = None
    t_ns: int = 0
    past: deque[float] = field(default_factory=lambda: deque(maxlen=_WIDTH))


class Tail:
    """The tags that match one of `globs`, asked for again and again."""

    def __init__(self, url: str, globs: Sequence[str]) -> None:
        self._url, self._globs = url.rstrip("/"), globs or ("*",)
        self.rows: dict[str, Row] = {}

    def ask(self) -> list[Row]:
        """Rows that are new or moved; raises Refused when no gateway answers."""
        changed = []
        for machine in self._machines():
            for tag in machine["tags"]:
                path = f"{machine['name']}/{tag['name']}"
                if any(fnmatchcase(path, pattern) for pattern in self._globs) and (row := self._take(path, tag)) is not None:
                    changed.append(row)
        return changed

    def _take(self, path: str, tag: Any) -> Row | None:
        row = self.rows.setdefault(path, Row(path))
        moved = tag["t_ns"] != row.t_ns
        row.value, row.unit, row.quality = tag["value"], tag["unit"], tag["quality"]
        row.age_seconds, row.t_ns = tag["age_seconds"], tag["t_ns"]
        if moved and row.value is not None:
            row.past.append(row.value)
        return row if moved else None

    def _machines(self) -> Any:
        token = os.environ.get("LINESIDE_TOKEN", "").strip()
        if not (token.isascii() and token.isprintable()):  # before somebody complains of it with all of it
            raise Refused("what stands in $LINESIDE_TOKEN is no token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            request = Request(f"{self._url}/api/machines", headers=headers)  # noqa: S310  the page's own address
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read())
        except HTTPError as exc:
            exc.close()
            if exc.code == 401:
                wanted = "put a token into $LINESIDE_TOKEN (lineside token add NAME --role viewer)"
                what = "does not know the token of $LINESIDE_TOKEN, or its time is over" if token else f"needs a login; {wanted}"
                raise Refused(f"the gateway at {self._url} {what}") from exc
            raise Refused(f"the gateway at {self._url} answers {exc.code} {exc.reason}") from exc
        except (URLError, OSError, msgspec.DecodeError, ValueError) as exc:
            why = getattr(exc, "reason", exc)
            raise Refused(f"no gateway answers at {self._url} ({why}); does it run, and is gateway.page not off?") from exc


def tail(url: str, globs: Sequence[str], *, every: float, count: int | None) -> int:
    """Until Ctrl+C, or `count` times. A table on a terminal; else a line for each change. Exit code 1: nothing matches."""
    watched = Tail(url, globs)
    changed = watched.ask()
    if not watched.rows:
        raise Refused(f"no tag matches {' or '.join(globs)}")
    console = Console()
    try:
        if console.is_terminal:
            _show(watched, console, every, count)
        else:
            _stream(watched, changed, every, count)
    except KeyboardInterrupt:
        return 0
    return 0


def _show(watched: Tail, console: Console, every: float, count: int | None) -> None:
    with Live(table(watched.rows.values()), console=console, auto_refresh=False) as live:
        for _ in range(count) if count is not None else iter(int, 1):
            live.update(table(watched.rows.values()), refresh=True)
            time.sleep(every)
            watched.ask()


def _stream(watched: Tail, changed: list[Row], every: float, count: int | None) -> None:
    left = count
    while True:
        for row in changed:
            click.echo("\t".join([row.path, _number(row.value), row.unit, row.quality, _age(row.age_seconds)]))
        sys.stdout.flush()
        left = None if left is None else left - 1
        if left == 0:
            return
        time.sleep(every)
        changed = watched.ask()


def table(rows: Iterable[Row]) -> Table:
    """Values with unit, quality, age and the way they came."""
    found = Table(box=None, pad_edge=False)
    for name, justify in (("tag", "left"), ("value", "right"), ("unit", "left"), ("quality", "left"), ("age", "right"), ("", "left")):
        found.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        style = "" if row.quality == "good" else "yellow" if row.value is not None else "red"
        found.add_row(
            printable(row.path), _number(row.value), printable(row.unit), row.quality, _age(row.age_seconds), spark(row.past), style=style
        )
    return found


def spark(values: Sequence[float]) -> str:
    """
    >>> spark([0, 1, 2, 3])
    '▁▃▆█'
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return _BARS[3] * len(values)
    return "".join(_BARS[min(7, int((value - low) / (high - low) * 7.999))] for value in values)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _age(seconds: float | None) -> str:
    """
    >>> _age(0.4), _age(75), _age(7300)
    ('0.4 s', '75 s', '2.0 h')
    """
    if seconds is None:
        return "never"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
