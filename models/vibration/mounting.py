"""What a sensor measures and what it sits on: its unit, the bearing beside it, the zones it is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.contract import Bearing, ConfigError, DetectorContext, Tag
from models.vibration.bearing import Orders, orders_of
from models.vibration.config import VibrationOptions
from models.vibration.places import KINDS, Machine, Place
from models.vibration.severity import Zones, iso_zones, pump_zones
from models.vibration.units import UNITS, Unit


@dataclass(frozen=True, slots=True)
class Mounting:
    """One waveform tag. `bearing` and `orders` are None where no bearing is known, `place` without points."""

    tag: Tag
    unit: Unit
    bearing: Bearing | None
    orders: Orders | None
    place: Place | None = None

    @property
    def label(self) -> str:
        """For people."""
        return self.tag.name if self.place is None else self.place.label

    @property
    def hears_bearing(self) -> bool:
        """Which part of it is damaged, if one is."""
        return self.orders is not None and self.unit.hears_bearings


def mountings(options: VibrationOptions, context: DetectorContext) -> list[Mounting]:
    """Of all channels but the tachos. Raises ConfigError: no waveform tag, another unit, an unknown bearing, machine or tacho, no speed."""
    waveforms = [tag for tag in context.tags if tag.options.kind == "waveform" and tag.name != options.tacho]
    if not waveforms:
        raise ConfigError("none of its tags is of kind: waveform")
    tachos(options, context)
    places = _places(options)
    if places is not None:
        _complete(places, waveforms)
    return [_mounting(options, context, tag, (places or {}).get(tag.name)) for tag in waveforms]


def machines(known: Iterable[Mounting]) -> dict[str, Machine]:
    """Those whose points are named."""
    found: dict[str, list[Mounting]] = {}
    for mounting in known:
        if mounting.place is not None:
            found.setdefault(mounting.tag.machine, []).append(mounting)
    return {name: _machine(mine) for name, mine in found.items()}


def _machine(mine: list[Mounting]) -> Machine:
    every = frozenset(one.tag.name for one in mine)
    hears = frozenset(one.tag.name for one in mine if one.hears_bearing)
    places = {one.tag.name: one.place for one in mine if one.place is not None}
    return Machine(places, {"velocity": every, "trend": every, "bearing": hears})


def conditions(options: VibrationOptions, context: DetectorContext) -> set[str]:
    """All that a watch may tell of any of its machines."""
    known = mountings(options, context)
    found = {f"{one.tag.name}_signal" for one in known}
    for one in known:
        kinds = [kind for kind in KINDS if kind != "bearing" or one.hears_bearing]
        found |= {f"{one.tag.name if one.place is None else 'vibration'}_{kind}" for kind in kinds}
    return found


def _places(options: VibrationOptions) -> dict[str, Place] | None:
    if options.points is None:
        return None
    return {tag: Place(point, direction) for point, tags in options.points.items() for direction, tag in tags.items()}


def _complete(places: Mapping[str, Place], waveforms: list[Tag]) -> None:
    for machine in dict.fromkeys(tag.machine for tag in waveforms):
        mine = {tag.name for tag in waveforms if tag.machine == machine}
        if missing := sorted(places.keys() - mine):
            raise ConfigError(f"points: {machine}/{missing[0]} is no waveform tag that `on` matches")
        if unnamed := sorted(mine - places.keys()):
            raise ConfigError(f"points: {machine}/{unnamed[0]} is watched and belongs to no point")


def tachos(options: VibrationOptions, context: DetectorContext) -> dict[int, int]:
    """Index of each channel -> that of its machine's tacho; raises ConfigError when a machine has none."""
    if options.tacho is None:
        return {}
    waveforms = [tag for tag in context.tags if tag.options.kind == "waveform"]
    known = {tag.machine: tag.index for tag in waveforms if tag.name == options.tacho}
    for tag in waveforms:
        if tag.machine not in known:
            raise ConfigError(f"tacho: {tag.machine}/{options.tacho} is no waveform tag that `on` matches")
    return {tag.index: known[tag.machine] for tag in waveforms if tag.name != options.tacho}


def zones(options: VibrationOptions) -> Zones:
    """The watch's own, else those of the standard; with a baseline the warning begins at its alarm."""
    if options.zones is not None:
        found = Zones(options.zones, "the watch's zones")
    elif options.pump is not None:
        found = pump_zones(options.pump.category, options.pump.power)
    else:
        found = iso_zones(options.iso.group, options.iso.support)
    return found if options.baseline is None else found.with_alarm(options.baseline)


def _mounting(options: VibrationOptions, context: DetectorContext, tag: Tag, place: Place | None) -> Mounting:
    unit = tag.options.unit
    if unit not in UNITS:
        raise ConfigError(f"{tag.path}: vibration needs unit g, m/s2, mm/s, um or mm, not {unit!r}")
    bearing = _bearing(options, context, tag)
    if bearing is not None and bearing.speed is None and options.tacho is None and not options.estimate_speed:
        raise ConfigError(f"{tag.path}: nothing tells its bearing's speed; give the bearing a speed, or the watch tacho or estimate_speed")
    return Mounting(tag, UNITS[unit], bearing, None if bearing is None else orders_of(bearing), place)


def _bearing(options: VibrationOptions, context: DetectorContext, tag: Tag) -> Bearing | None:
    """The bearing of the machine the watch names, else that of the tag's machine, if it has one."""
    machine = context.machines.get(options.bearing or tag.machine)
    if options.bearing is None:
        return machine.bearing if machine else None
    if machine is None:
        known = ", ".join(context.machines)
        raise ConfigError(f"bearing names {options.bearing!r}, which is none of the machines ({known})")
    if machine.bearing is None:
        raise ConfigError(f"machine {options.bearing!r} has no bearing")
    return machine.bearing
