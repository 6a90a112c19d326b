"""The life cycle: pending → open (raised, updated) → closed, after ISA-18.2's on-delay, off-delay and shelving.

Delays run on the gateway's monotonic clock, because a source's clock may be wrong or stand still; what has already
passed between `since_ns` and the finding's own time counts. After a restart they run from wall time.

Two watches may tell of one condition (both have a `high` for one tag): it is raised as soon as one of them would, and is over when no
one says any more that it is active.

What is withheld (shelved, or in a blackout of its watch) stays pending when it would be raised, or open when it would be updated, and
is told when nothing withholds it any more, if it still holds. The end of one that was told is always told.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count

import msgspec

from gateway.contract import Clock, Finding, Json, State
from gateway.incidents.incident import Change, Incident, Phase, beginning
from gateway.incidents.rates import Rates
from gateway.incidents.rule import Beside, Rule, Track

REVIEW_SECONDS = 1.0
"""How often it is looked whether something is still withheld."""
_STALE_MOST = 256
"""Timers that were set again or are of no use any more, at most; beyond, they are cleared away."""


class Incidents:
    """All conditions that are not over. Pure state machine: it returns changes, others store and send them.

    make_id            (machine, condition, since_ns) -> incident id
    evidence_seconds   after raising, when the post-trigger evidence is complete
    """

    def __init__(self, clock: Clock, make_id: Callable[[str, str, int], str], *, evidence_seconds: float) -> None:
        self._clock, self.make_id, self.evidence_seconds = clock, make_id, evidence_seconds
        self.rates = Rates(clock)
        self._tracks: dict[tuple[str, str], Track] = {}
        self._timers: list[tuple[float, int, tuple[str, str]]] = []
        self._ticket = count()
        self._last_since: dict[tuple[str, str], int] = {}
        self._forgot = False
        self._rules: Mapping[str, Rule] = {}
        self.withhold: Callable[[Incident], str] = lambda _incident: ""
        """Why it must not be told now, for people; empty: it may."""
        self._waiting: set[tuple[str, str]] = set()
        self._reviewed = clock.monotonic()

    @property
    def waiting(self) -> list[tuple[Incident, str]]:
        """What is withheld, and why."""
        tracks = [self._tracks[key] for key in sorted(self._waiting) if key in self._tracks]
        found = ((track.incident, track.waits or (track.incident.withheld and self.withhold(track.incident))) for track in tracks)
        return [(incident, why) for incident, why in found if why]

    @property
    def open(self) -> list[Incident]:
        return [track.incident for track in self._tracks.values() if track.incident.state == "open"]

    def restore(
        self,
        incidents: Iterable[Incident],
        rules: Mapping[str, Rule],
        *,
        last_since: Mapping[tuple[str, str], int] | None = None,
        forgot: bool = False,
    ) -> None:
        """Continue with what was pending or open; the rule is the detector's of today, or a plain one if it is gone.

        last_since   per machine and condition, when its last incident that is over began
        forgot       what was over is not known (the outbox was replaced)
        """
        self._last_since |= last_since or {}
        self._forgot = forgot
        now, now_ns = self._clock.monotonic(), self._clock.now_ns()
        for incident in incidents:
            rule = rules.get(incident.detector, Rule(incident.detector, incident.domain, 0.0, 0.0))
            key = (incident.machine, incident.condition)
            track = self._tracks[key] = Track(incident, rule)
            passed = max(0.0, (now_ns - incident.changed_ns) / 1e9)
            if incident.state == "pending":
                self._set(track, key, "raise_at", now + max(0.0, incident.hold_seconds - passed))
            elif incident.withheld:
                self._waiting.add(key)
            if incident.state == "open" and not incident.active:
                self._set(track, key, "clear_at", now + max(0.0, rule.clear_after - passed))

    def correct(self, right: Callable[[int], int], moved: Callable[[Json], Json]) -> None:
        """The clock was put right: so are the times it gave to what is not over. Timers run on, and ids stay."""
        for track in self._tracks.values():
            incident = track.incident
            incident.since_ns, incident.changed_ns = right(incident.since_ns), right(incident.changed_ns)
            incident.raised_ns = right(incident.raised_ns)
            incident.explanation, incident.evidence = moved(incident.explanation), moved(incident.evidence)
        self._last_since = {key: right(since_ns) for key, since_ns in self._last_since.items()}

    def leap(self, delta_ns: int) -> None:
        """A trusted clock was set, and what was told keeps its times; but it changed as long ago as before."""
        for track in self._tracks.values():
            track.incident.changed_ns += delta_ns

    def retire(self, rules: Mapping[str, Rule]) -> list[Change]:
        """The configuration changed: nobody will tell the end of a condition that no watch covers, so it ends now.

        A watch that only got another name (unnamed ones are numbered) takes over what its like began.
        """
        changes, before, self._rules = [], self._rules, rules
        now_ns = self._clock.now_ns()
        for key, track in list(self._tracks.items()):
            rule = track.successor(rules, before)
            if rule is not None and rule.detector in track.beside:
                changes += self._pass_on(key, track, track.beside[rule.detector], now_ns)
            elif rule is not None:
                track.rule, track.incident.detector = rule, rule.detector
            elif track.incident.state == "open":
                track.incident.explanation["ended"] = "the configuration does not watch this any more"
                changes.append(self._clear(key, track, now_ns))
            else:
                del self._tracks[key]
                changes.append(Change(Phase.DROPPED, track.incident, now_ns))
        return changes

    def apply(self, finding: Finding, rule: Rule, *, from_record: bool = False) -> list[Change]:
        """One finding, ACTIVE or OVER (facts are not incidents)."""
        key = (finding.machine, finding.condition)
        track, over = self._tracks.get(key), finding.state is State.OVER
        if track is None:
            return [] if over else self._begin(key, finding, rule, from_record)
        if over:
            track.beside.pop(rule.detector, None)
        if track.rule.detector != rule.detector:
            changes = [] if over else self._too(key, track, finding, rule)
        else:
            track.said = finding
            changes = self._over(key, track, finding) if over else self._again(key, track, finding)
        if from_record and not changes and key in self._tracks:
            track.incident.from_record = True  # it is on disk from now on, and so must be what becomes of it
            return [Change(Phase.NOTED, track.incident, finding.t_ns)]
        return changes

    def tick(self) -> Iterator[Change]:
        """Whatever became due: raising after hold, closing after clear_after, completing the evidence.

        One at a time: a change speaks of its incident as it is now, and the next may be of the same one.
        """
        now = self._clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if (track := self._tracks.get(key)) is not None:
                yield from self._due(key, track, due)
        if self._waiting and now - self._reviewed >= REVIEW_SECONDS:
            self._reviewed = now
            yield from self._review()

    def next_due(self) -> float | None:
        """Monotonic time of the next timer."""
        return self._timers[0][0] if self._timers else None

    def _begin(self, key: tuple[str, str], finding: Finding, rule: Rule, from_record: bool) -> list[Change]:
        now_ns = self._clock.now_ns()
        hold, since_ns = rule.hold_of(finding), self._since(key, finding)
        incident = Incident(
            id=self.make_id(finding.machine, finding.condition, since_ns),
            machine=finding.machine,
            condition=finding.condition,
            detector=rule.detector,
            domain=rule.domain,
            state="pending",
            active=True,
            title="",
            severity=0,
            peak=0,
            score=None,
            since_ns=since_ns,
            changed_ns=now_ns,
            from_record=from_record,
            hold_seconds=hold,
        )
        incident.take(finding)
        self.rates.activated(key)
        track = self._tracks[key] = Track(incident, rule, finding)
        left = hold - max(0.0, (finding.t_ns - since_ns) / 1e9)
        if left <= 0:
            return self._ripe(key, track, finding.t_ns)
        self._set(track, key, "raise_at", self._clock.monotonic() + left)
        # A pending condition of a business message must survive a crash: its acknowledgement says so.
        return [Change(Phase.NOTED, incident, finding.t_ns)] if from_record else []

    def _since(self, key: tuple[str, str], finding: Finding) -> int:
        if self._forgot and key not in self._last_since:
            return beginning(finding, finding.since_ns, finding.since_ns)
        return beginning(finding, self._last_since.get(key), self._clock.now_ns())

    def _ripe(self, key: tuple[str, str], track: Track, t_ns: int) -> list[Change]:
        """It has held long enough: it is raised, unless something withholds it; by another watch, if this one is in a blackout."""
        track.raise_at, now = None, self._clock.monotonic()
        if (other := track.awake(now, self._clock.now_ns())) is not None:
            track.beside[track.rule.detector] = Beside(track.rule, track.said, now)
            return self._pass_on(key, track, other, t_ns)
        before, track.waits = track.waits, self._withheld(track)
        if not track.waits:
            if before:
                track.incident.explanation["withheld"] = before
            self._waiting.discard(key)
            return [self._raise(key, track, t_ns)]
        self._waiting.add(key)
        # A pending condition of a business message must survive a crash: its acknowledgement says so.
        return [Change(Phase.NOTED, track.incident, t_ns)] if track.incident.from_record and not before else []

    def _withheld(self, track: Track) -> str:
        return "in a blackout of its watch" if track.is_quiet(self._clock.now_ns()) else self.withhold(track.incident)

    def _review(self) -> Iterator[Change]:
        """Whether what was withheld may be told now."""
        for key in sorted(self._waiting):
            track, now_ns = self._tracks.get(key), self._clock.now_ns()
            if track is None or not (track.waits or track.incident.withheld):
                self._waiting.discard(key)
            elif track.incident.state == "pending":
                yield from self._ripe(key, track, now_ns)
            elif not self.withhold(track.incident):
                self._waiting.discard(key)
                yield self._update(track.incident, now_ns, track.incident.withheld)

    def _raise(self, key: tuple[str, str], track: Track, t_ns: int) -> Change:
        incident = track.incident
        self.rates.raised()
        incident.state, incident.raised_ns, incident.changed_ns = "open", t_ns, self._clock.now_ns()
        incident.events += 1
        if self.evidence_seconds > 0 and not incident.from_record:
            self._set(track, key, "evidence_at", self._clock.monotonic() + self.evidence_seconds)
        return Change(Phase.RAISED, incident, t_ns)

    def _again(self, key: tuple[str, str], track: Track, finding: Finding) -> list[Change]:
        incident = track.incident
        before_peak, before_key = incident.peak, incident.key
        if not incident.active:
            incident.active, track.clear_at = True, None
            incident.occurrences += 1
            self.rates.activated(key)
        incident.take(finding)
        if incident.state != "open":
            # Withheld, and worse now: what withholds a warning may not withhold what is critical.
            return self._ripe(key, track, finding.t_ns) if track.waits and incident.peak > before_peak else []
        if incident.peak > before_peak:
            return [self._changed(key, incident, finding.t_ns, "severity")]
        if incident.key != before_key:
            return [self._changed(key, incident, finding.t_ns, "diagnosis")]
        return []

    def _too(self, key: tuple[str, str], track: Track, finding: Finding, rule: Rule) -> list[Change]:
        """Another watch says so as well: not before its own `hold` is over."""
        now, before = self._clock.monotonic(), track.beside.get(rule.detector)
        raise_at = now + max(0.0, rule.hold_of(finding) - (finding.t_ns - finding.since_ns) / 1e9)
        too = Beside(rule, finding, raise_at if before is None else min(before.raise_at, raise_at))
        track.beside[rule.detector] = too
        if not track.incident.active:  # what comes back before it is closed need not hold again
            return self._pass_on(key, track, too._replace(raise_at=now), finding.t_ns)
        if track.raise_at is not None and too.raise_at < track.raise_at:
            track.beside[track.rule.detector] = Beside(track.rule, track.said, track.raise_at)
            return self._pass_on(key, track, too, finding.t_ns)
        if too.raise_at <= now:
            return [] if track.raise_at is not None else self._again(key, track, finding)
        if before is None or too.raise_at < before.raise_at:  # it may say so with every reading
            self._set_timer(key, too.raise_at)
        return []

    def _pass_on(self, key: tuple[str, str], track: Track, to: Beside, t_ns: int) -> list[Change]:
        """From now on this watch tells of it."""
        incident, held = track.incident, to.raise_at <= self._clock.monotonic()
        track.rule, track.said, incident.detector = to.rule, to.finding, to.rule.detector
        if held or incident.state != "open":
            del track.beside[to.rule.detector]
        if incident.state == "open":  # on disk, too: the next start believes who told of it when it says that it is over
            worse = self._again(key, track, to.finding) if held and to.finding is not None else []
            return worse or [Change(Phase.NOTED, incident, t_ns)]
        if to.finding is not None:
            incident.peak = 0
            incident.take(to.finding)
            incident.hold_seconds = to.rule.hold_of(to.finding)
        self._waiting.discard(key)
        track.waits = ""
        if held:
            return self._ripe(key, track, t_ns)
        self._set(track, key, "raise_at", to.raise_at)
        return []

    def _changed(self, key: tuple[str, str], incident: Incident, t_ns: int, reason: str) -> Change:
        if not self.withhold(incident):
            return self._update(incident, t_ns, reason)
        incident.withheld = incident.withheld if incident.withheld == "severity" else reason
        self._waiting.add(key)
        return Change(Phase.NOTED, incident, t_ns)

    def _update(self, incident: Incident, t_ns: int, reason: str) -> Change:
        incident.events += 1
        incident.changed_ns, incident.withheld = self._clock.now_ns(), ""
        return Change(Phase.UPDATED, incident, t_ns, reason)

    def _over(self, key: tuple[str, str], track: Track, finding: Finding) -> list[Change]:
        incident = track.incident
        if track.beside:
            return self._pass_on(key, track, min(track.beside.values(), key=lambda other: other.raise_at), finding.t_ns)
        if incident.state == "pending":
            del self._tracks[key]
            return [Change(Phase.DROPPED, incident, finding.t_ns)] if incident.from_record else []
        if not incident.active:
            return []
        incident.active = False
        incident.changed_ns = self._clock.now_ns()
        if track.rule.clear_after <= 0:
            return [self._clear(key, track, finding.t_ns)]
        self._set(track, key, "clear_at", self._clock.monotonic() + track.rule.clear_after)
        return []

    def _clear(self, key: tuple[str, str], track: Track, t_ns: int) -> Change:
        incident = track.incident
        incident.state, incident.cleared_ns, incident.changed_ns = "closed", t_ns, self._clock.now_ns()
        incident.events += 1
        del self._tracks[key]
        self._last_since[key] = max(incident.since_ns, self._last_since.get(key, 0))
        return Change(Phase.CLEARED, incident, t_ns)

    def _due(self, key: tuple[str, str], track: Track, due: float) -> list[Change]:
        now_ns = self._clock.now_ns()
        if track.raise_at == due:
            return self._ripe(key, track, now_ns)
        if track.clear_at == due:
            return [self._clear(key, track, now_ns)]
        if track.evidence_at == due:
            track.evidence_at = None
            # Later there are no readings of then any more: what was withheld so long is told without.
            return [] if self.withhold(track.incident) else [self._update(track.incident, now_ns, "evidence")]
        held = [other.finding for other in track.beside.values() if other.raise_at == due and other.finding is not None]
        worse = [finding for finding in held if finding.severity > track.incident.peak]
        return [change for finding in worse for change in self._again(key, track, msgspec.structs.replace(finding, t_ns=now_ns))]

    def _set(self, track: Track, key: tuple[str, str], timer: str, due: float) -> None:
        setattr(track, timer, due)
        self._set_timer(key, due)

    def _set_timer(self, key: tuple[str, str], due: float) -> None:
        if len(self._timers) > _STALE_MOST + 3 * len(self._tracks):  # a signal that flaps sets one timer after the other
            self._timers = [entry for entry in self._timers if (track := self._tracks.get(entry[2])) is not None and track.is_set(entry[0])]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (due, next(self._ticket), key))
