"""What we write, the CloudEvents SDK reads; and both forms of the NATS header say the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.contract import Event, Severity
from gateway.events import codec

OfIncident = Callable[..., Event]


@pytest.fixture
def event(of_incident: OfIncident) -> Event:
    return replace(of_incident(title='Öltemperatur "zu hoch": 95 % …'), sequence=42)


def expected(event: Event) -> dict[str, Any]:
    """As the SDK gives them back: the time as datetime, which has microseconds only."""
    return codec.attributes(event) | {
        "time": datetime.fromisoformat("2027-01-15T08:00:00.123456+00:00"),
        "datacontenttype": "application/json",
    }


def test_the_sdk_reads_a_structured_event(event: Event) -> None:
    message = HTTPMessage({"content-type": codec.STRUCTURED}, codec.structured(event))
    read = from_http_event(message, JSONFormat())
    assert read.get_attributes() == expected(event) | {"severitynumber": 17}
    assert read.get_data() == json.loads(event.data)


def test_the_sdk_reads_the_binary_form_of_http(event: Event) -> None:
    read = from_http_event(HTTPMessage(codec.http_headers(event), event.data), JSONFormat())
    assert read.get_attributes() == expected(event)
    assert read.get_data() == json.loads(event.data)


def test_the_sdk_reads_each_event_of_a_batch(event: Event) -> None:
    other = replace(event, id="inc-other-0001", sequence=43, severity=Severity.WARNING)
    documents = json.loads(codec.batch([event, other]))
    read = [JSONFormat().read(None, json.dumps(document)) for document in documents]
    assert [one.get_attributes() for one in read] == [
        expected(event) | {"severitynumber": 17},
        expected(other) | {"severitynumber": 13},
    ]
    assert json.loads(codec.batch([])) == []


def test_attributes_are_those_of_the_design(event: Event) -> None:
    assert codec.attributes(event) == {
        "specversion": "1.0",
        "id": event.id,
        "source": "urn:lineside:acme:dresden:dresden-press-01",
        "type": "io.lineside.vibration.raised.v1",
        "subject": "utilities/cooling/_/pump-3/vibration_x",
        "time": "2027-01-15T08:00:00.123456789Z",
        "recordedtime": "2027-01-15T08:00:06.123456789Z",
        "dataschema": event.dataschema,
        "sequence": "00000000000000000042",
        "partitionkey": "pump-3",
        "severitynumber": "17",
        "severitytext": "ERROR",
        "correlationid": event.correlationid,
        "traceparent": event.traceparent,
    }


def test_names_of_attributes_are_lower_case_letters_and_digits(event: Event) -> None:
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in codec.attributes(event))


def test_a_fact_has_no_correlation(event: Event) -> None:
    fact = replace(event, correlationid="", traceparent="")
    assert not {"correlationid", "traceparent"} & codec.attributes(fact).keys()


def test_what_an_event_stands_in_for_is_told_in_every_form(event: Event) -> None:
    corrected = replace(event, causationid="inc-a-0001")
    assert json.loads(codec.structured(corrected))["causationid"] == "inc-a-0001"
    assert codec.http_headers(corrected)["ce-causationid"] == "inc-a-0001"
    assert b"\r\nce-causationid: inc-a-0001\r\n" in codec.nats_header_block(corrected)
    assert "causationid" not in codec.attributes(event)
    read = from_http_event(HTTPMessage(codec.http_headers(corrected), corrected.data), JSONFormat())
    assert read.get_attributes()["causationid"] == "inc-a-0001"


def test_sequences_sort_as_text(event: Event) -> None:
    numbers = [0, 9, 10, 99, 100, 2**63 - 1]
    texts = [codec.attributes(replace(event, sequence=number))["sequence"] for number in numbers]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {20}


def test_data_stands_in_the_structured_form_as_it_is(event: Event) -> None:
    assert event.data in codec.structured(event)


texts = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from(' "%\r\n\t\x00\x7fÖ€😀:')), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subject=texts, key=texts, source=texts, cause=texts)
def test_both_forms_of_the_nats_header_say_the_same(event: Event, subject: str, key: str, source: str, cause: str) -> None:
    changed = replace(event, subject=subject, partitionkey=key, source=source, causationid=cause)
    head, *lines, empty, end = codec.nats_header_block(changed).decode("ascii").split("\r\n")
    assert (head, empty, end) == ("NATS/1.0", "", "")
    assert dict(line.split(": ", 1) for line in lines) == codec.nats_headers(changed)
    assert codec.nats_headers(changed)["Nats-Msg-Id"] == changed.id


@given(texts)
def test_escaped_text_is_printable_ascii_and_comes_back(text: str) -> None:
    escaped = codec.escape(text)
    assert all("!" <= character <= "~" and character != '"' for character in escaped)
    assert unquote(escaped) == text


def test_a_subject_has_nine_tokens_at_fixed_places(event: Event, of_incident: OfIncident) -> None:
    assert codec.nats_subject(event) == "evt.v1.acme.dresden.utilities.cooling._.vibration.raised"
    bare = replace(event, subject="_/_/_/pump-3")
    assert codec.nats_subject(bare) == "evt.v1.acme.dresden._._._.vibration.raised"
    assert codec.nats_subject(event, "plant") == "plant.acme.dresden.utilities.cooling._.vibration.raised"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=40), min_size=3, max_size=3))
def test_whatever_a_level_is_called_it_is_one_token(event: Event, levels: list[str]) -> None:
    path = "/".join(level.replace("/", "-") for level in levels)
    subject = codec.nats_subject(replace(event, subject=f"{path}/pump-3"))
    tokens = subject.split(".")
    assert len(tokens) == 9
    assert all(token and set(token) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") for token in tokens)
