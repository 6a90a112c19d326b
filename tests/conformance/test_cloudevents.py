"""The JavaScript SDK of the CloudEvents project reads what the uplink posts, attribute by attribute."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.contract import Event, OutcomeKind
from gateway.events import codec


def expected(event: Event, *, headers: bool) -> dict[str, Any]:
    """`headers`: a number is a text there."""
    number = int(event.severity)
    return codec.attributes(event) | {"severitynumber": str(number) if headers else number, "data": json.loads(event.data)}


def plain(read: dict[str, Any], *, headers: bool) -> dict[str, Any]:
    """The binding percent-encodes headers; this SDK leaves the decoding to its user, and it cuts times to milliseconds."""
    return {name: unquote(value) if headers and isinstance(value, str) else value for name, value in read.items()}


def cut(attributes: dict[str, Any]) -> dict[str, Any]:
    return attributes | {"time": attributes["time"][:23] + "Z"}


@pytest.mark.parametrize(("mode", "requests"), [("structured", 5), ("binary", 5), ("batch", 1)])
async def test_the_sdk_reads_what_the_uplink_posts(
    node: Any, outcomes: Any, recorder: Any, events: list[Event], mode: str, requests: int
) -> None:
    assert await outcomes("https", {"https": recorder.url, "mode": mode}, events) == [OutcomeKind.SENT] * 5
    assert len(recorder.requests) == requests
    headers = mode == "binary"
    found = {each["id"]: plain(each, headers=headers) for each in await node("cloudevents.mjs", given=recorder.requests)}
    assert set(found) == {event.id for event in events}
    for event in events:
        read = found[event.id]
        assert read.pop("datacontenttype") == "application/json"
        assert read == cut(expected(event, headers=headers))


# Where there is no id, time or specversion this SDK makes one up; the Python one, in tests/uplink/https, does not.
@pytest.mark.parametrize("lost", ["source", "type"])
@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
async def test_it_reads_not_just_anything(node: Any, outcomes: Any, recorder: Any, events: list[Event], mode: str, lost: str) -> None:
    await outcomes("https", {"https": recorder.url, "mode": mode}, events[:1])
    (request,) = recorder.requests
    if mode == "binary":
        del request["headers"][f"ce-{lost}"]
    else:
        request["body"] = request["body"].replace(f'"{lost}":', f'"lost{lost}":')
    assert "error" in await node("cloudevents.mjs", given=[request])
