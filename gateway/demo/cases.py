"""What a CRM makes of events: one case per incident, upserted by the incident's id. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from gateway.contract import Json


@dataclass
class Case:
    """One machine fault. `sequence` is the newest event's: an older one that comes late changes nothing but the count."""

    incident: str
    machine: str
    condition: str
    asset: str
    opened: str
    closed: str | None = None
    severity: str = ""
    title: str = ""
    sequence: int = -1
    events: int = 0
    told: Counter[str] = field(default_factory=Counter)
    explanation: Mapping[str, Json] = field(default_factory=dict)
    evidence: Mapping[str, Json] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return "open" if self.closed is None else "closed"

    @property
    def spectrum(self) -> bool:
        """The evidence holds one."""
        return any(True for _ in spectra(self.evidence))

    @property
    def picture(self) -> str | None:
        """What the gateway drew of the evidence, SVG."""
        drawn = self.evidence.get("picture_svg")
        return drawn if isinstance(drawn, str) else None

    @property
    def pictured(self) -> bool:
        return self.picture is not None

    def brief(self) -> dict[str, Json]:
        """What a list of cases shows."""
        names = ("incident", "machine", "condition", "asset", "title", "severity", "state", "opened", "closed", "events", "spectrum")
        return {name: getattr(self, name) for name in (*names, "pictured")}


class Cases:
    """Takes each event once; whoever calls `take` drops repeats by the event's id.

    facts     events that are no case: order milestones, news of the gateway itself
    """

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._sequences: Counter[tuple[str, str]] = Counter()
        self.facts = 0

    def take(self, event: Mapping[str, Json]) -> None:
        """One CloudEvent (structured)."""
        self._sequences[event["source"], event["sequence"]] += 1
        data = event["data"]
        if "incident" not in data:
            self.facts += 1
            return
        case = self._cases.get(data["incident"])
        if case is None:
            case = Case(data["incident"], data["machine"], data["condition"], data.get("asset", ""), data["raised"])
            self._cases[case.incident] = case
        case.events += 1
        case.told[data["state"]] += 1
        if int(event["sequence"]) > case.sequence:
            case.sequence = int(event["sequence"])
            case.severity, case.title, case.closed = data["severity"], data["title"], data.get("cleared")
            case.explanation = data.get("explanation", {})
            # What clears a case carries no evidence; the case keeps what it has.
            case.evidence = data.get("evidence") or case.evidence

    def __iter__(self) -> Iterator[Case]:
        """Newest first."""
        return iter(sorted(self._cases.values(), key=lambda case: case.opened, reverse=True))

    def __len__(self) -> int:
        return len(self._cases)

    def get(self, incident: str) -> Case | None:
        return self._cases.get(incident)

    @property
    def doubled(self) -> int:
        """What was counted twice: a place in the gateway's stream used twice, a case opened or closed twice, two cases for one fault."""
        again = sum(count - 1 for count in self._sequences.values())
        again += sum(max(0, case.told[state] - 1) for case in self._cases.values() for state in ("raised", "cleared"))
        return again + sum(self._overlaps())

    def _overlaps(self) -> Iterator[bool]:
        """True for each case that was opened while another one of its machine and condition was open."""
        faults: dict[tuple[str, str], list[Case]] = {}
        for case in sorted(self._cases.values(), key=lambda case: case.opened):
            faults.setdefault((case.machine, case.condition), []).append(case)
        for cases in faults.values():
            for before, after in pairwise(cases):
                yield before.closed is None or after.opened < before.closed


def spectra(part: Json) -> Iterator[Mapping[str, Json]]:
    """Every spectrum in evidence, at any depth: ``{hz_step, amplitudes, lines}``."""
    if isinstance(part, Mapping):
        if part.get("amplitudes") and part.get("hz_step"):
            yield part
        for inner in part.values():
            yield from spectra(inner)
