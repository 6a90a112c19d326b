"""From entries to the body and headers of one request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from gateway.events.codec import BATCH, JSON, STRUCTURED, http_headers
from gateway.uplink.https import paths
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.plan import Entry

_encode = msgspec.json.Encoder().encode
_TYPES = {
    "ndjson": "application/x-ndjson",
    "cloudevents-structured": STRUCTURED,
    "cloudevents-batch": BATCH,
    "cloudevents-binary": JSON,
}


class Composer:
    """Of one destination."""

    def __init__(self, options: HttpsOptions) -> None:
        self._options, self._form = options, options.body.form
        self._single_document = options.body.item is None and not self._form.startswith("cloudevents")
        self._type = options.body.content_type or _TYPES.get(
            self._form, STRUCTURED if self._form == "single" and self._single_document else JSON
        )
        self._keys = paths.parse(options.body.path) if options.body.path else ()

    def body(self, entries: Sequence[Entry]) -> bytes:
        if self._form == "ndjson":
            return b"\n".join(entry.body for entry in entries) + b"\n"
        if self._form in ("array", "cloudevents-batch"):
            return _array(entries)
        if self._form == "array-in":
            return _encode(_placed(self._options.body.wrap, self._keys, msgspec.Raw(_array(entries))))
        return entries[0].body

    def headers(self, entries: Sequence[Entry]) -> dict[str, str]:
        first = entries[0]
        headers = {"Content-Type": self._type, **first.headers}
        if self._form == "cloudevents-binary":
            headers = http_headers(first.event) | headers
        if self._options.idempotency is not None:
            value = identity([entry.idempotency for entry in entries])
            headers[self._options.idempotency.header] = f'"{value}"' if self._options.idempotency.quoted else value
        return headers


def identity(values: Sequence[str]) -> str:
    """Of one: itself; of many: a digest of them in their order, so that only the very same request has it again."""
    return values[0] if len(values) == 1 else sha256("\n".join(values).encode()).hexdigest()


def _array(entries: Sequence[Entry]) -> bytes:
    return b"[" + b",".join(entry.body for entry in entries) + b"]"


def _placed(wrap: Mapping[str, Any], keys: paths.Keys, value: Any) -> Any:
    if not keys:
        return value
    below = wrap.get(str(keys[0]))
    return {**wrap, str(keys[0]): _placed(below if isinstance(below, dict) else {}, keys[1:], value)}
