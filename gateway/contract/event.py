"""What leaves the gateway, and what came of sending it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from gateway.contract.finding import Severity


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One CloudEvent (1.0), frozen when it was accepted; `gateway.events` builds it, uplinks only read it.

    A struct, not a dataclass: each is made twice on its way, and a frozen dataclass of 14 fields costs six times as much. It holds
    texts and numbers only, so the collector need not look at it (`gc`), however many wait.

    id             derived from content: the same happening has the same id after a crash, a replay, a retry
    type           ``io.lineside.<domain>.<past tense>.v<major>``
    source         ``urn:lineside:<enterprise>:<site>:<gateway>``
    subject        ``area/line/cell/machine[/point]``
    time_ns        when it happened; recorded_ns when we wrote it
    sequence       position in this gateway's stream, given by the outbox; 0 before
    partitionkey   machine: what must stay in order
    correlationid  incident id; empty for facts
    timequality    `UNCONFIRMED` when no trusted clock ever confirmed its times; else empty. Told by the outbox when it is sent
    causationid    id of the event this one replaces (a dead letter sent again with corrected data); else empty
    dataschema     URL of the contract
    data           JSON, UTF-8, already validated against the contract
    """

    id: str
    type: str
    source: str
    subject: str
    time_ns: int
    recorded_ns: int
    severity: Severity
    partitionkey: str
    dataschema: str
    data: bytes
    correlationid: str = ""
    causationid: str = ""
    traceparent: str = ""
    timequality: str = ""
    sequence: int = 0


class OutcomeKind(Enum):
    """What an uplink says of one event."""

    SENT = "sent"  # the receiver has it
    DUPLICATE = "duplicate"  # the receiver had it already; as good as sent
    RETRY = "retry"  # not now: busy, timed out, connection lost ("timeout" means unknown)
    PARK = "park"  # never as it is: a dead letter with its reason
    HOLD = "hold"  # nothing can be sent for a while: quota used up, credentials refused


@dataclass(frozen=True, slots=True)
class Outcome:
    """One per event, in the order of the events.

    after_seconds   RETRY, HOLD: wait at least this long (from Retry-After); 0 = the sender's own back-off
    reason          RETRY, PARK, HOLD: in the receiver's words, short, without secrets
    code            PARK: the receiver's word for this kind of refusal (``INVALID_FIELD``), with the names of the fields;
                    when it is the same for every event of a batch, the receiver changed, not the events
    unknown         RETRY: the receiver may have taken it all the same (no answer came), so no other destination may get it
    """

    kind: OutcomeKind
    reason: str = ""
    after_seconds: float = 0.0
    code: str = ""
    unknown: bool = False

    @staticmethod
    def retry(reason: str, after_seconds: float = 0.0, *, unknown: bool = False) -> Outcome:
        return Outcome(OutcomeKind.RETRY, reason, after_seconds, unknown=unknown)

    @staticmethod
    def park(reason: str, *, code: str = "") -> Outcome:
        return Outcome(OutcomeKind.PARK, reason, code=code)

    @staticmethod
    def hold(reason: str, after_seconds: float = 0.0) -> Outcome:
        return Outcome(OutcomeKind.HOLD, reason, after_seconds)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the receiver says of an allowance that is used up by sending: `used` of `limit`, both in the receiver's units."""

    used: float
    limit: float


UNCONFIRMED: Final = "unconfirmed"
SENT: Final = Outcome(OutcomeKind.SENT)
DUPLICATE: Final = Outcome(OutcomeKind.DUPLICATE)
