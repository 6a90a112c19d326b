"""What a list of findings says, for comparing two of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract import Finding, Severity, State

EVIDENCE_BYTES = 64 * 1024
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$")
_CLOSE = 1e-6  # a sum in another order may differ in its last digits


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """By time; those of one instant by name."""
    return sorted(findings, key=lambda f: (f.t_ns, f.machine, f.condition, f.key, f.state.value))


def same(one: Sequence[Finding], other: Sequence[Finding], when: str) -> None:
    """Raises AssertionError with the first difference."""
    for a, b in zip(ordered(one), ordered(other), strict=False):
        if difference := _difference(a, b):
            raise AssertionError(f"{when}: {a.condition} at {a.t_ns}: {difference}")
    assert len(one) == len(other), f"{when}: {len(one)} findings became {len(other)}"


def _difference(a: Finding, b: Finding) -> str:
    for name in ("t_ns", "machine", "condition", "key", "state", "since_ns", "severity", "title", "tags", "hold_seconds"):
        if getattr(a, name) != getattr(b, name):
            return f"{name} {getattr(a, name)!r} became {getattr(b, name)!r}"
    for name in ("score", "explanation", "evidence"):
        if not alike(getattr(a, name), getattr(b, name)):
            return f"{name} {getattr(a, name)!r} became {getattr(b, name)!r}"[:600]
    return ""


def alike(a: Any, b: Any) -> bool:
    """Equal, numbers to six digits."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return bool(a == b)


def changes(findings: Sequence[Finding]) -> list[tuple[Any, ...]]:
    """What remains when repetitions are left out: each edge of a condition, and each fact.

    A condition nobody has heard of is over, as the engine sees it.
    """
    known: dict[tuple[str, str], tuple[Any, ...]] = {}
    found: list[tuple[Any, ...]] = []
    for finding in ordered(findings):
        name = (finding.machine, finding.condition)
        if finding.state is State.FACT:
            found.append((finding.t_ns, *name, finding.key))
            continue
        now: tuple[Any, ...] = (State.ACTIVE, finding.severity, finding.key) if finding.state is State.ACTIVE else (State.OVER,)
        if now != known.get(name, (State.OVER,)):
            found.append((finding.t_ns, *name, *now, finding.since_ns if finding.state is State.ACTIVE else 0))
        known[name] = now
    return found


def well_formed(finding: Finding) -> None:
    """Raises AssertionError."""
    what = f"{finding.machine} {finding.condition}"
    assert _NAME.match(finding.condition), f"{finding.condition!r} is no name for a condition"
    assert _NAME.match(finding.machine), f"{finding.machine!r} is no machine"
    assert isinstance(finding.severity, Severity), f"{what}: severity {finding.severity!r}"
    assert {type(finding.t_ns), type(finding.since_ns)} == {int}, f"{what}: times are not Python integers"
    assert finding.since_ns <= finding.t_ns, f"{what}: since {finding.since_ns} is after {finding.t_ns}"
    assert finding.since_ns > 0, f"{what}: since is not a time"
    assert type(finding.score) is float, f"{what}: score {finding.score!r} is not a Python float"
    assert math.isfinite(finding.score), f"{what}: score {finding.score!r}"
    assert 0 < len(finding.title) <= 255, f"{what}: title of {len(finding.title)} characters"
    assert finding.title.isprintable(), f"{what}: title {finding.title!r}"
    for name, facts in (("explanation", finding.explanation), ("evidence", finding.evidence)):
        try:
            text = msgspec.json.encode(facts)
            json.dumps(facts, allow_nan=False)
        except (TypeError, ValueError, msgspec.MsgspecError) as exc:
            raise AssertionError(f"{what}: {name} is not JSON: {exc}") from exc
        assert len(text) <= EVIDENCE_BYTES, f"{what}: {name} is {len(text)} bytes"
