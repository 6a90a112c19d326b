"""What a plugin must bring so that the battery of its kind can run over it.

A rig is a real peer on port 0 of loopback and the plugin configured for it. The batteries (`source_checks`,
`detector_checks`, `uplink_checks`) are written against these protocols. The rig of plugin ``x`` is the class `Rig` in
``gateway.testkit.rigs.x``; it finds the plugin by `gateway.registry`, as the gateway does. It leaves a check out with
``exempt: dict[str, str]``, check to reason; the reason must stand in the plugin's README.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol, TypeAlias

from gateway.contract import Batch, Detector, Event, Frame, Record, Source, Uplink, Waveform

Piece: TypeAlias = Batch | Frame | Waveform | Record
"""What a detector's `process` may be given."""
LARGE_BYTES: Final = 200_000
"""Data of an event every receiver must take."""
POISON_BYTES: Final = 400_000
"""Data of the event a receiver may refuse because of its size."""


class SourceRig(Protocol):
    """A real server of the protocol and a source configured to read it."""

    tags: int
    """How many tags the source is configured with; their indices count from 0, and all of them are heard of."""

    can_be_dead: bool
    """False for sources without a peer (a file): the checks about lost peers are skipped, with this as the reason."""

    async def start(self) -> None:
        """Start the server; it serves plausible values."""

    async def stop(self) -> None:
        """Stop it as a power cut would; `start` brings it back at the same address."""

    def source(self) -> Source:
        """A fresh, unconnected source for this server."""

    def dead_source(self) -> Source:
        """A source whose peer is not there."""

    async def stimulate(self) -> None:
        """Make the server have something new to be read."""


class DetectorRig(Protocol):
    """A detector and three streams for it."""

    machines: Collection[str]
    """Names of the machines watched."""

    tag_names: Collection[str]
    """Names of the tags watched, without their machine."""

    def detector(self) -> Detector:
        """A fresh detector, always configured the same."""

    def calm(self) -> Sequence[Piece]:
        """Constant or normal input in which nothing must be found, in many small items."""

    def faulty(self) -> Sequence[Piece]:
        """Input with at least one condition that becomes ACTIVE, in many small items, in order of time."""

    def damaged(self) -> Sequence[Piece]:
        """Input with missing values, repeated and late readings: must be survived."""


class UplinkRig(Protocol):
    """A real receiver and an uplink configured for it."""

    async def start(self) -> None:
        """Start the receiver, at the same address every time."""

    async def stop(self) -> None:
        """Stop it as a power cut would; what it has acknowledged it still knows afterwards."""

    async def hang(self) -> None:
        """Make it accept connections and answer nothing."""

    async def resume(self) -> None:
        """End `hang`."""

    async def poison(self, event_id: str) -> None:
        """Make it refuse this one event for ever. Its data is `POISON_BYTES` long, for receivers that refuse by size only."""

    def uplink(self) -> Uplink:
        """A fresh, unconnected uplink for this receiver with a timeout of at most one second."""

    def dead_uplink(self) -> Uplink:
        """An uplink whose receiver is not there."""

    async def received(self) -> list[str]:
        """Ids of the distinct events it has, in order of arrival."""


def event(number: int, *, data: bytes = b'{"n":1}') -> Event:
    """A well-formed event for uplink tests, number `number`."""
    from gateway.contract import Severity

    return Event(
        id=f"ev-{number:08d}",
        type="io.lineside.limit.raised.v1",
        source="urn:lineside:acme:test:test-gw",
        subject="area/line/cell/press-07/oil_temperature",
        time_ns=1_800_000_000_000_000_000 + number,
        recorded_ns=1_800_000_000_500_000_000 + number,
        severity=Severity.WARNING,
        partitionkey="press-07",
        dataschema="https://lineside.example/contracts/io.lineside.limit.raised/1.0.json",
        data=data,
        correlationid=f"inc-{number:08d}",
        sequence=number,
    )
