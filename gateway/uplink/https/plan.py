"""Which events share a request, and what each becomes in it. Pure.

An entry is what stands for one event in a request, or for several of one key. No event goes before an earlier one of its
machine, unless both are in one request, where they keep their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.contract import Event, Outcome
from gateway.events.codec import escape, structured
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.filters import Unfit, to_json
from gateway.uplink.https.presets import laid_under
from gateway.uplink.https.shape import SINGLE
from gateway.uplink.https.template import Render, Scope, as_text, compiled, is_template
from gateway.uplink.https.view import View

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Entry:
    """`rows` are places in the batch; `event` is the last of them. `mark` is what the receiver calls it in its answer.

    `parts` are the entries that were merged into this one, for when it is refused.
    """

    rows: list[int]
    event: Event
    body: bytes
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    key: str = ""
    mark: str = ""
    idempotency: str = ""
    fields: dict[str, Any] | None = None
    machines: set[str] = field(default_factory=set)
    parts: list[Entry] = field(default_factory=list)


class Mapper:
    """Makes entries, by templates that are compiled once."""

    def __init__(self, options: HttpsOptions, scope: Scope) -> None:
        body, per_item = options.body, options.result.per_item
        self._options, self._scope = options, scope
        self._binary = body.form == "cloudevents-binary"
        self._coalesce = body.coalesce
        self._key = as_text(body.key, scope) if body.key else None
        self._group = as_text(body.group_by, scope) if body.group_by else None
        self._path = as_text(options.path, scope, _segment)
        self._path_varies = is_template(options.path)
        self._headers = {name: as_text(value, scope, escape) for name, value in options.headers.items()}
        self._headers_vary = any(is_template(value) for value in options.headers.values())
        mark = (per_item.event or body.key or "{{ id }}") if per_item else None
        self._mark = as_text(mark, scope) if mark else None
        self._idempotency = as_text(options.idempotency.value, scope, escape) if options.idempotency else None
        # Few types, and the same ones over and over.
        self._item_of = lru_cache(maxsize=256)(self._item)

    def entry(self, row: int, event: Event) -> Entry:
        """Raises Unfit."""
        view = View(event)
        fields = self._fields(view)
        made = Entry(
            [row], event, b"" if fields is not None and self._coalesce else self._body(event, fields), machines={event.partitionkey}
        )
        made.fields = fields if self._coalesce else None
        varies = self._path_varies or self._headers_vary
        made.path = self._path(view) if self._path_varies else self._options.path
        made.headers = {name: header(view) for name, header in self._headers.items()} if self._headers_vary else self._options.headers
        if self._group:
            made.group = self._group(view)
        if varies:
            made.group = "\n".join([made.group, made.path, *made.headers.values()])
        if self._key:
            made.key = self._key(view)
        if self._mark:
            made.mark = self._mark(view)
        if self._idempotency:
            made.idempotency = self._idempotency(view)
        return made

    def _fields(self, view: View) -> dict[str, Any] | None:
        if self._options.body.item is None:
            return None
        made: dict[str, Any] = self._item_of(view.event.type)(view)
        return made

    def _item(self, type_: str) -> Render:
        body = self._options.body
        item: Mapping[str, Any] = body.item or {}
        for also in body.also:
            if any(fnmatchcase(type_, pattern) for pattern in also.types):
                item = laid_under(also.item, item)
        return compiled(dict(item), self._scope)

    def _body(self, event: Event, fields: dict[str, Any] | None) -> bytes:
        if fields is not None:
            return encoded(fields)
        return event.data if self._binary else structured(event)


def encoded(fields: Any) -> bytes:
    """Raises Unfit for what JSON does not know."""
    try:
        return _encode(fields)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return to_json(fields).encode()


def plan(events: Sequence[Event], mapper: Mapper, options: HttpsOptions) -> tuple[list[list[Entry]], dict[int, Outcome]]:
    """Requests in the order they are to be sent, and what becomes of the events that can be in none."""
    refused: dict[int, Outcome] = {}
    entries: list[Entry] = []
    latest: dict[tuple[str, str], Entry] = {}
    for row, event in enumerate(events):
        try:
            entry = mapper.entry(row, event)
            earlier = latest.get((entry.group, entry.key)) if entry.fields is not None and entry.key else None
            if earlier is not None:
                _merge(earlier, entry)
                continue
        except Unfit as exc:
            refused[row] = Outcome.park(f"the event does not fit: {exc}"[:300])
            continue
        latest[(entry.group, entry.key)] = entry
        entries.append(entry)
    return _packed(_sized(entries, options.body.max_bytes, refused), options), refused


def _merge(earlier: Entry, later: Entry) -> None:
    """As if both had been written one after the other: what the later one does not say stays."""
    earlier.parts = [*(earlier.parts or [replace(earlier)]), later]
    earlier.fields = _over(later.fields or {}, earlier.fields or {})
    earlier.rows = earlier.rows + later.rows
    earlier.machines = earlier.machines | later.machines
    earlier.event, earlier.mark, earlier.idempotency = later.event, later.mark, later.idempotency


def _over(later: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _over(value, earlier[key]) for key, value in later.items() if isinstance(value, dict) and isinstance(earlier.get(key), dict)
    }
    return {**earlier, **later, **both}


def _sized(entries: list[Entry], most: int | None, refused: dict[int, Outcome]) -> list[Entry]:
    kept: list[Entry] = []
    for entry in entries:
        try:
            entry.body = entry.body if entry.fields is None else encoded(entry.fields)
        except Unfit as exc:
            refused |= dict.fromkeys(entry.rows, Outcome.park(f"the event does not fit: {exc}"[:300]))
            continue
        if most is not None and len(entry.body) > most and entry.parts:
            kept += _sized(entry.parts, most, refused)
        elif most is not None and len(entry.body) > most:
            refused |= dict.fromkeys(entry.rows, Outcome.park(f"too large: {len(entry.body)} bytes, at most {most} are allowed"))
        else:
            kept.append(entry)
    return kept


def apart(entry: Entry, most: int | None) -> tuple[list[Entry], dict[int, Outcome]]:
    """The events of a merged entry, each alone and in their order, and what becomes of those that cannot be sent."""
    refused: dict[int, Outcome] = {}
    return _sized(entry.parts, most, refused), refused


def _packed(entries: list[Entry], options: HttpsOptions) -> list[list[Entry]]:
    """Each entry goes into its group's open request, if that is not before one of its machines."""
    body = options.body
    most = 1 if body.form in SINGLE else body.max_items
    room = body.max_bytes if body.max_bytes is not None else float("inf")
    requests: list[list[Entry]] = []
    sizes: list[int] = []
    keys: list[set[str]] = []
    opened: dict[str, int] = {}
    last: dict[str, int] = {}
    for entry in entries:
        at = opened.get(entry.group, -1)
        not_before = max((last.get(machine, -1) for machine in entry.machines), default=-1)
        fits = at >= max(not_before, 0) and len(requests[at]) < most and sizes[at] + len(entry.body) + 1 <= room
        if not fits or (entry.key and entry.key in keys[at]):
            at = opened[entry.group] = len(requests)
            requests.append([])
            sizes.append(0)
            keys.append(set())
        requests[at].append(entry)
        sizes[at] += len(entry.body) + 1
        keys[at].add(entry.key)
        last |= dict.fromkeys(entry.machines, at)
    return requests


def _segment(value: str) -> str:
    """A value cannot change the levels of a path, not even as ``..``."""
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")
