"""The battery every detector goes through."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeVar
from weakref import WeakKeyDictionary

from gateway.contract import Batch, Detector, Finding, Frame, Leaping, Record, State, StateError, Waveform
from gateway.testkit.checks.cuts import CUTS, later, rows, span_ns
from gateway.testkit.checks.findings import changes, same, well_formed
from gateway.testkit.checks.states import GARBAGE, arrays, of_another_version, pickled
from gateway.testkit.checks.watch import io_done
from gateway.testkit.rigs import DetectorRig, Piece

T = TypeVar("T")
Stream = Literal["calm", "faulty", "damaged"]
CONSTRUCT_SECONDS = 0.25
"""Of the processor: how busy the machine is says nothing of the constructor."""
LONG_ROWS, LONG_SECONDS = 2_000, 0.3
STATE_BYTES = 16 << 20
GROWTH_BYTES = 96 * 1024
_LEAP_NS = 28 * 86_400 * 10**9
_STREAMS: Final[tuple[Stream, ...]] = ("calm", "faulty", "damaged")
_TOLD: WeakKeyDictionary[DetectorRig, dict[str, list[list[Finding]]]] = WeakKeyDictionary()


def telling(detector: Detector, items: Iterable[Piece]) -> Iterator[Finding]:
    """The findings of a stream, one after the other: who has heard enough stops it."""
    return (finding for item in items for finding in detector.process(item))


def run(detector: Detector, items: Iterable[Piece]) -> list[Finding]:
    """All findings of a stream."""
    return list(telling(detector, items))


def told_of(rig: DetectorRig, stream: Stream) -> list[list[Finding]]:
    """What a fresh detector of this rig tells of a stream, item by item. It runs once: the checks that are given the same rig share it."""
    known = _TOLD.setdefault(rig, {})
    if stream not in known:
        detector = rig.detector()
        known[stream] = [detector.process(item) for item in getattr(rig, stream)()]
    return known[stream]


def flat(told: Sequence[Sequence[Finding]]) -> list[Finding]:
    return [finding for found in told for finding in found]


def halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Before and after the middle."""
    return items[: len(items) // 2], items[len(items) // 2 :]


def constructor_does_no_io_and_is_cheap(rig: DetectorRig) -> None:
    rig.detector()  # late imports are done now
    with io_done() as done:
        began = time.thread_time()
        rig.detector()
        took = time.thread_time() - began
    assert not done, f"the constructor does I/O: {done}"
    assert took < CONSTRUCT_SECONDS, f"the constructor took {took:.3f} s"


def takes_what_the_rig_gives(rig: DetectorRig) -> None:
    takes = rig.detector().takes
    assert takes, "takes nothing"
    assert takes <= {Batch, Frame, Waveform, Record}, f"takes is {takes}"
    given = {type(item) for item in [*rig.calm(), *rig.faulty(), *rig.damaged()]}
    assert given <= takes, f"the rig gives {given}, the detector takes {takes}"


def calm_input_is_silent(rig: DetectorRig) -> None:
    told = [f for f in flat(told_of(rig, "calm")) if f.state is not State.OVER]
    assert not told, f"found in calm input: {told[0].title}"


def faulty_input_is_found(rig: DetectorRig) -> None:
    told = flat(told_of(rig, "faulty"))
    assert any(f.state is State.ACTIVE for f in told), f"nothing became active; told: {[f.condition for f in told][:5]}"


def findings_are_well_formed(rig: DetectorRig) -> None:
    """Times, names, title, JSON: see `findings.well_formed`; in order of time within each item."""
    for stream in _STREAMS:
        for found in told_of(rig, stream):
            times = [finding.t_ns for finding in found]
            assert times == sorted(times), "findings of one item are not in order of time"
            for finding in found:
                well_formed(finding)


def findings_are_of_the_machines_watched(rig: DetectorRig) -> None:
    """Each machine and tag named is the one the context names; a fault of one machine is not told of another."""
    machines, tags = set(rig.machines), set(rig.tag_names)
    for finding in flat([*told_of(rig, "calm"), *told_of(rig, "faulty")]):
        assert finding.machine in machines, f"{finding.machine!r} is none of {sorted(machines)}"
        assert set(finding.tags) <= tags, f"{finding.tags} are not among {sorted(tags)}"


def findings_are_the_same_however_the_input_is_cut(rig: DetectorRig) -> None:
    """What is calm comes before and after the fault, too."""
    for stream in _STREAMS[1:]:
        items, expected = getattr(rig, stream)(), flat(told_of(rig, stream))
        for name, cut in CUTS.items():
            same(expected, run(rig.detector(), cut(items)), f"cut into {name}")


def findings_are_repeatable(rig: DetectorRig) -> None:
    """Two detectors side by side: no chance, no clock, no state they share."""
    one, other = rig.detector(), rig.detector()
    first: list[Finding] = []
    second: list[Finding] = []
    for item in rig.faulty():
        first += one.process(item)
        second += other.process(item)
    same(first, second, "a second detector")
    same(first, flat(told_of(rig, "faulty")), "a second run")


def dump_and_load_in_the_middle_change_nothing(rig: DetectorRig) -> None:
    """But for repetitions of what is known: an edge is told at the same reading, a fact once."""
    items = rig.faulty()
    expected = changes(flat(told_of(rig, "faulty")))
    first, before, begin = rig.detector(), list[Finding](), 0
    for place in sorted({len(items) * k // 8 for k in (2, 4, 5, 7)}):
        before += run(first, items[begin:place])
        begin, second = place, rig.detector()
        second.load(first.dump())
        told = [*before, *run(second, items[place:])]
        assert changes(told) == expected, f"saved after item {place} of {len(items)}: {changes(told)} instead of {expected}"


def dump_changes_nothing(rig: DetectorRig) -> None:
    detector, told = rig.detector(), []
    for item in rig.faulty():
        told += detector.process(item)
        detector.dump()
    same(flat(told_of(rig, "faulty")), told, "dumped after every item")


def first_opinion_is_told_after_load(rig: DetectorRig) -> None:
    """An incident may have been open before the crash: what is still active is told again, what is over too."""
    before, after = halves(rig.calm())
    detector, started = rig.detector(), rig.detector()
    run(detector, before)
    started.load(detector.dump())
    told = telling(started, [*after, *later(rig.calm(), span_ns(rig.calm()))])
    assert any(f.state is State.OVER for f in told), "after a start in calm times it does not say that nothing is wrong"
    _active_is_told_again(rig)


def _active_is_told_again(rig: DetectorRig) -> None:
    items, detector = rig.faulty(), rig.detector()
    place, active = 0, set[str]()
    while not active:
        assert place < len(items), "nothing became active"
        active = {f.condition for f in detector.process(items[place]) if f.state is State.ACTIVE}
        place += 1
    started = rig.detector()
    started.load(detector.dump())
    told = telling(started, [*items[place:], *later(items, span_ns(items))])
    while active:
        again = next(told, None)
        assert again, f"active when saved and not told again after load: {sorted(active)}"
        active.discard(again.condition)


def unusable_state_is_refused_and_changes_nothing(rig: DetectorRig) -> None:
    """One after the other, to one detector: it goes on as one that was given none."""
    before, after = halves(rig.faulty())
    detector, untouched = rig.detector(), halves(told_of(rig, "faulty"))[1]
    run(detector, before)
    for state in _unusable(rig):
        try:
            detector.load(state)
        except StateError:
            continue
        except Exception as exc:
            raise AssertionError(f"{state[:20]!r} ({len(state)} bytes): {exc!r} instead of StateError") from exc
        raise AssertionError(f"{state[:20]!r} ({len(state)} bytes) was taken for a state")
    same(flat(untouched), run(detector, after), "after refusing states")


def _unusable(rig: DetectorRig) -> list[bytes]:
    """Garbage, another version, and a real state cut short at four places."""
    detector = rig.detector()
    run(detector, halves(rig.faulty())[0])
    state = detector.dump()
    return [*GARBAGE, of_another_version(state), *(state[: len(state) * k // 4] for k in range(1, 4)), state[:-1]]


def state_is_no_pickle(rig: DetectorRig) -> None:
    for items in ([], rig.calm(), rig.faulty()):
        detector = rig.detector()
        run(detector, items)
        state = detector.dump()
        assert not pickled(state), "the state is a pickle, or holds one"
        arrays(state)  # raises ValueError for an array of Python objects


def damaged_input_is_survived(rig: DetectorRig) -> None:
    """And the fault that comes afterwards is found."""
    detector = rig.detector()
    run(detector, rig.damaged())
    rig.detector().load(detector.dump())
    shift = max(0, _end(rig.damaged()) - _begin(rig.faulty())) + 10**9
    assert any(f.state is State.ACTIVE for f in telling(detector, later(rig.faulty(), shift))), "blind after damaged input"


def goes_along_when_the_gateways_clock_is_put_right(rig: DetectorRig) -> None:
    """Four weeks ahead or back in the middle of a fault: what is told afterwards is the same, at the new times. For those that can."""
    before, after = halves(rig.faulty())
    expected = [_edge(finding, 0) for finding in flat(halves(told_of(rig, "faulty"))[1])]
    for delta_ns in (_LEAP_NS, -_LEAP_NS):
        detector = rig.detector()
        if not isinstance(detector, Leaping):
            return
        run(detector, before)
        for machine in [*rig.machines, "not-watched"]:
            detector.leap(machine, delta_ns)
        told = [_edge(finding, delta_ns) for finding in run(detector, later(after, delta_ns))]
        assert told == expected, f"after a leap by {delta_ns / 1e9:.0f} s: {told[:3]} instead of {expected[:3]}"


def _edge(finding: Finding, delta_ns: int) -> tuple[object, ...]:
    return finding.machine, finding.condition, finding.state, finding.severity, finding.t_ns - delta_ns, finding.since_ns - delta_ns


def _begin(items: Sequence[Piece]) -> int:
    return min(int(min(item.t_ns)) if isinstance(item, Batch | Frame) else item.t_ns for item in items if rows([item]))


def _end(items: Sequence[Piece]) -> int:
    return max(int(max(item.t_ns)) if isinstance(item, Batch | Frame) else item.t_ns for item in items if rows([item]))


def memory_is_bounded_over_a_long_stream(rig: DetectorRig) -> None:
    """State and memory of a quarter of the stream, or half of it for what is slow, are those of the whole."""
    detector = rig.detector()
    stream = rig.faulty()
    span = span_ns(stream)
    began = time.thread_time()
    run(detector, stream)
    rounds = int(min(LONG_ROWS / rows(stream), LONG_SECONDS / 2 / (time.thread_time() - began)))
    rounds = max(2, rounds)
    sizes, memory = [], []
    tracemalloc.start()
    try:
        for number in range(1, rounds + 1):
            run(detector, later(stream, number * span))
            if number in (max(1, rounds // 4), rounds):
                sizes.append(len(detector.dump()))
                memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] <= STATE_BYTES, f"the state is {sizes[1]} bytes"
    assert sizes[1] <= 1.1 * sizes[0] + 4096, f"the state grew from {sizes[0]} to {sizes[1]} bytes"
    assert memory[1] - memory[0] < GROWTH_BYTES, f"memory grew by {memory[1] - memory[0]} bytes over {rounds} rounds"


CHECKS: Final = (
    constructor_does_no_io_and_is_cheap,
    takes_what_the_rig_gives,
    calm_input_is_silent,
    faulty_input_is_found,
    findings_are_well_formed,
    findings_are_of_the_machines_watched,
    findings_are_the_same_however_the_input_is_cut,
    findings_are_repeatable,
    dump_and_load_in_the_middle_change_nothing,
    dump_changes_nothing,
    first_opinion_is_told_after_load,
    unusable_state_is_refused_and_changes_nothing,
    state_is_no_pickle,
    damaged_input_is_survived,
    goes_along_when_the_gateways_clock_is_put_right,
    memory_is_bounded_over_a_long_stream,
)
