"""When something really was wrong: windows of time, of a machine or of one of its tags."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.contract import ConfigError

_HELP = "write [[from, to], ...], {file or machine/tag: [[from, to], ...]} or a CSV with machine,tag,from,to"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Both ends belong to it. `machine` empty: of everything; `tag` empty: of the whole machine."""

    from_ns: int
    to_ns: int
    machine: str = ""
    tag: str = ""

    def concerns(self, machine: str, tags: Sequence[str]) -> bool:
        """Of an alarm of this machine and these tags; an alarm without tags is the machine's."""
        return self.machine in ("", machine) and (not self.tag or not tags or self.tag in tags)

    def holds(self, t_ns: int) -> bool:
        return self.from_ns <= t_ns <= self.to_ns


def read_labels(path: Path, zone: ZoneInfo, *, files: Mapping[str, Sequence[str]]) -> list[Window]:
    """Windows in the order of their beginning; times without an offset are of `zone`.

    files   which ``machine/tag`` are in which file of the recording: only their windows count, and NAB's own labels name files
    raises ConfigError
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not UTF-8") from exc
    tags = {tag: None for some in files.values() for tag in some}
    found = list(_csv(path, text, zone)) if path.suffix.lower() == ".csv" else list(_json(path, text, zone, files))
    machines = {tag.partition("/")[0] for tag in tags}
    mine = sorted(one for one in found if not one.machine or (f"{one.machine}/{one.tag}" in tags if one.tag else one.machine in machines))
    if not mine:
        raise ConfigError(f"{path}: no window is of what is recorded ({', '.join(list(tags)[:4])}); {_HELP}")
    return mine


def _json(path: Path, text: str, zone: ZoneInfo, files: Mapping[str, Sequence[str]]) -> Iterator[Window]:
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise ConfigError(f"{path}: no JSON: {exc}") from exc
    if isinstance(document, list):
        yield from (_window(path, pair, zone) for pair in document)
        return
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: neither a list of windows nor an object of such lists; {_HELP}")
    for name, windows in document.items():
        of = files.get(Path(name).name)  # None: it is no file, but a machine or a tag
        whole = of is not None and len(files) == 1
        for place in [""] if whole else [name] if of is None else of:
            machine, _, tag = place.partition("/")
            yield from (_window(path, pair, zone, machine, tag) for pair in (windows if isinstance(windows, list) else [windows]))


def _csv(path: Path, text: str, zone: ZoneInfo) -> Iterator[Window]:
    rows = csv.DictReader(text.splitlines())
    missing = {"machine", "from", "to"} - set(rows.fieldnames or ())
    if missing:
        raise ConfigError(f"{path}: no column {min(missing)!r}; {_HELP}")
    for row in rows:
        yield _window(path, [row["from"], row["to"]], zone, (row["machine"] or "").strip(), (row.get("tag") or "").strip())


def _window(path: Path, pair: Any, zone: ZoneInfo, machine: str = "", tag: str = "") -> Window:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ConfigError(f"{path}: {pair!r} is no window; {_HELP}")
    begin, end = (_moment(path, text, zone) for text in pair)
    if end < begin:
        raise ConfigError(f"{path}: the window {pair[0]} to {pair[1]} ends before it begins")
    return Window(begin, end, machine, tag)


def _moment(path: Path, text: Any, zone: ZoneInfo) -> int:
    try:
        moment = datetime.fromisoformat(str(text).strip())
    except ValueError as exc:
        raise ConfigError(f"{path}: {text!r} is no time; write for example 2027-01-15 08:00:00 or 2027-01-15T08:00:00+01:00") from exc
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
