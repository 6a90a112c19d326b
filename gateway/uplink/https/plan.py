"""Which events share a request, and what each becomes in it. Pure.

An entry is what stands for one event in a request, or for several of one key. No event goes before an earlier one of its
machine, unless both are in one request. There they keep their order, but that those of one key stand where the first of them stood.
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
        made = Entry([row], event, self._body(event, fields))
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
    most = options.body.max_bytes
    for row, event in enumerate(events):
        try:
            entry = mapper.entry(row, event)
        except Unfit as exc:
            refused[row] = Outcome.park(f"the event does not fit: {exc}"[:300])
            continue
        if most is not None and len(entry.body) > most:
            refused[row] = Outcome.park(f"too large: {len(entry.body)} bytes, at most {most} are allowed")
        else:
            entries.append(entry)
    return packed(entries, options), refused


def packed(entries: Sequence[Entry], options: HttpsOptions) -> list[list[Entry]]:
    """Each entry goes into its group's open request, if that is not before one of its machines; of one key, they become one there."""
    requests: list[_Request] = []
    opened: dict[str, int] = {}
    last: dict[str, int] = {}
    for entry in entries:
        at = opened.get(entry.group, -1)
        machine = entry.event.partitionkey
        if not (at >= max(last.get(machine, -1), 0) and requests[at].takes(entry)):
            at = opened[entry.group] = len(requests)
            requests.append(_Request(options))
            requests[at].takes(entry)
        last[machine] = at
    return [request.entries for request in requests]


def halves(entries: Sequence[Entry], options: HttpsOptions) -> list[list[Entry]]:
    """A request that was refused, in two; in more where a machine's events would change their order: what was merged goes apart then."""
    first, second = entries[: len(entries) // 2], entries[len(entries) // 2 :]
    latest = {part.event.partitionkey: part.rows[0] for part in in_order(first)}
    if all(part.rows[0] > latest.get(part.event.partitionkey, -1) for part in in_order(second)):
        return [list(first), list(second)]
    alone = in_order(entries)
    half = len(alone) // 2
    return [*packed(alone[:half], options), *packed(alone[half:], options)]


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """One per event, in the order of the events."""
    return sorted((part for entry in entries for part in entry.parts or [entry]), key=lambda part: part.rows)


class _Request:
    """Entries that go together, as long as there is room."""

    def __init__(self, options: HttpsOptions) -> None:
        body = options.body
        self.entries: list[Entry] = []
        self._by_key: dict[str, int] = {}
        self._size = 0
        self._most = 1 if body.form in SINGLE else body.max_items
        self._room = body.max_bytes if body.max_bytes is not None else float("inf")

    def takes(self, entry: Entry) -> bool:
        """False: it does not go in any more; the first one always does."""
        at = self._by_key.get(entry.key, -1) if entry.key else -1
        if at >= 0 and entry.fields is None:
            return False
        before = self.entries[at] if at >= 0 else None
        made = entry if before is None else _merged(before, entry)
        size = self._size + len(made.body) + 1 - (len(before.body) + 1 if before else 0)
        if self.entries and (size > self._room or (before is None and len(self.entries) >= self._most)):
            return False
        if before is None:
            self._by_key[entry.key] = len(self.entries)
            self.entries.append(made)
        else:
            self.entries[at] = made
        self._size = size
        return True


def _merged(earlier: Entry, later: Entry) -> Entry:
    """As if both had been written one after the other: what the later one does not say stays."""
    fields = _over(later.fields or {}, earlier.fields or {})
    return replace(
        later,
        rows=earlier.rows + later.rows,
        fields=fields,
        body=encoded(fields),
        parts=[*(earlier.parts or [earlier]), later],
    )


def _over(later: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _over(value, earlier[key]) for key, value in later.items() if isinstance(value, dict) and isinstance(earlier.get(key), dict)
    }
    return {**earlier, **later, **both}


def _segment(value: str) -> str:
    """A value cannot change the levels of a path, not even as ``..``."""
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")
