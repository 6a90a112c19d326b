"""What reading a server's tags costs, before anything is connected. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.opcua.config import OpcuaOptions
from gateway.contract import Load, Tag

VALUE_BYTES = 30  # handle, mask, type, a double, status, source and server time, as a server sends them
_RESPONSE_BYTES = 150  # headers of transport, channel and publish response, and the request that asks for it
_TCP_BYTES = 120
_SAMPLE_BYTES = 4
_AS_FAST_AS_IT_CAN_SECONDS = 0.05  # what most servers make of sampling 0s


def plan(options: OpcuaOptions, tags: Sequence[Tag]) -> Load:
    """At most: a tag that does not change costs nothing. A waveform comes once per publish at most."""
    sampling = options.sampling or _AS_FAST_AS_IT_CAN_SECONDS
    blocks = [tag for tag in tags if tag.options.kind == "waveform"]
    per_second = min(1 / sampling, options.queue / options.publishing)
    readings = per_second * (len(tags) - len(blocks)) + 1  # and the server's time
    samples = sum(min(tag.options.rate_hz, (tag.options.length or tag.options.rate_hz) / options.publishing) for tag in blocks)
    responses = 1 / options.publishing
    return Load(
        readings=readings,
        requests=responses,
        bytes=readings * VALUE_BYTES + samples * _SAMPLE_BYTES + responses * (_RESPONSE_BYTES + _TCP_BYTES),
        cycle_seconds=options.publishing,
        notes=tuple(_notes(options, tags)),
    )


def _notes(options: OpcuaOptions, tags: Sequence[Tag]) -> list[str]:
    notes = [f"{len(tags)} monitored items in one subscription; readings are at most what sampling allows, usually far fewer"]
    needed = options.publishing / (options.sampling or _AS_FAST_AS_IT_CAN_SECONDS)
    if options.queue < needed:
        notes.append(f"queue {options.queue} is less than publishing / sampling = {needed:.0f}: fast changes are lost at the server")
    if options.sampling > options.publishing:
        notes.append("sampling is slower than publishing: most publishes will be empty")
    paths = sum(tag.options.path is not None for tag in tags)
    if paths:
        notes.append(f"{paths} browse paths are looked up at each connect")
    return notes
