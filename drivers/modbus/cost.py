"""What reading costs, before anything is connected. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from drivers.modbus.config import ModbusOptions
from drivers.modbus.endpoint import Endpoint
from drivers.modbus.plan import Block, plan, read_map
from drivers.modbus.rounds import size
from gateway.contract import Load, Tag

NETWORK_SECONDS = 0.010
"""A PLC's usual time for one answer over a network."""
_TCP_BYTES = 2 * 40 + 40  # IPv4 and TCP headers of question and answer, and an acknowledgement
_READ_BYTES = 5  # function, address, count


def load(options: ModbusOptions, tags: Sequence[Tag]) -> Load:
    """See docs of `Load`; a serial line's share is that of characters, gaps of 3.5 characters and the unit's turnaround."""
    items = read_map(tags, options).items
    blocks = {name: plan([item for item in items if item.group == name], options) for name in {item.group: None for item in items}}
    costs = {name: sum(seconds(block, options) for block in group) for name, group in blocks.items()}
    periods = {name: options.groups.get(name, options.poll_seconds) or costs[name] for name in blocks}
    per_second = {name: 1 / periods[name] for name in blocks if periods[name]}
    serial = options.endpoint.serial
    return Load(
        readings=sum(rate * sum(item.index >= 0 for block in blocks[name] for item in block.items) for name, rate in per_second.items()),
        requests=sum(rate * len(blocks[name]) for name, rate in per_second.items()),
        bytes=sum(rate * sum(sum(bytes_of(block, options.endpoint)) for block in blocks[name]) for name, rate in per_second.items()),
        cycle_seconds=sum(costs.values()),
        bus=options.endpoint.bus if serial else "",
        bus_share=sum(rate * costs[name] for name, rate in per_second.items()) if serial else 0.0,
        notes=tuple(_notes(options, blocks, costs, periods)),
    )


def bytes_of(block: Block, endpoint: Endpoint) -> tuple[int, int]:
    """(question, answer) on the wire."""
    question, answer = _READ_BYTES, 2 + size(block)
    if endpoint.framing == "mbap":
        sizes = question + 7, answer + 7
    elif endpoint.framing == "rtu":
        sizes = question + 3, answer + 3
    else:
        sizes = 2 * (question + 2) + 3, 2 * (answer + 2) + 3
    return sizes if endpoint.serial else (sizes[0] + _TCP_BYTES // 2, sizes[1] + _TCP_BYTES // 2)


def seconds(block: Block, options: ModbusOptions) -> float:
    """One question and its answer."""
    serial = options.endpoint.serial
    if serial is None:
        return NETWORK_SECONDS + options.pause
    characters = sum(bytes_of(block, options.endpoint)) * serial.character_seconds
    return characters + options.turnaround + serial.gap_seconds + max(serial.gap_seconds, options.pause)


def _notes(
    options: ModbusOptions, blocks: Mapping[str, Sequence[Block]], costs: Mapping[str, float], periods: Mapping[str, float]
) -> list[str]:
    found = []
    for name, cost in costs.items():
        if cost > periods[name]:
            found.append(f"group {name or 'default'} takes {cost:.2g} s, its period of {periods[name]:g} s cannot be kept")
    if sum(cost / periods[name] for name, cost in costs.items() if periods[name]) > 1 and len(costs) > 1:
        found.append("the groups together take longer than there is time: polls will be skipped")
    if options.endpoint.serial and not options.poll_seconds:
        found.append("poll_seconds: 0 takes the whole bus")
    return found + _savings(options, [block for group in blocks.values() for block in group])


def _savings(options: ModbusOptions, blocks: Sequence[Block]) -> list[str]:
    """The smallest max_gap that would save a request."""
    if options.one_request_per_tag:
        return []
    gaps = []
    for first, second in pairwise(blocks):
        same = (first.unit, first.table) == (second.unit, second.table)
        most = options.max_coils if first.bits else options.max_registers
        gap = second.start - (first.start + first.count)
        if same and options.max_gap < gap <= 120 and second.start + second.count - first.start <= most:
            gaps.append(gap)
    if not gaps:
        return []
    count = sum(gap <= min(gaps) for gap in gaps)
    return [f"max_gap: {min(gaps)} would save {count} of {len(blocks)} requests, if the device can read what lies between"]
