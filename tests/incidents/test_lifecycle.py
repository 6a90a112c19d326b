"""One machine fault is one incident, however its signal flaps and whenever the gateway restarts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gateway.contract import Finding, Severity, State
from gateway.incidents import Change, Incident, Incidents, Phase, Rule
from gateway.testkit.clock import FakeClock

SECOND = 1_000_000_000
RULE = Rule("limit-1", "limit", hold=0.0, clear_after=0.0)


class Life:
    """Incidents with a clock; what is stored survives `restart`."""

    def __init__(self, rule: Rule = RULE, *, evidence_seconds: float = 0.0) -> None:
        self.rule, self.clock, self._evidence_seconds = rule, FakeClock(), evidence_seconds
        self.stored: dict[str, tuple[Phase, bytes]] = {}
        self.told: list[str] = []
        self.numbers: list[int] = []
        self.incidents = self._fresh()

    def _fresh(self) -> Incidents:
        return Incidents(self.clock, lambda *parts: ":".join(map(str, parts)), evidence_seconds=self._evidence_seconds)

    def finding(self, state: State, *, age: float = 0.0, since: int | None = None, **changes: Any) -> Finding:
        t_ns = self.clock.now_ns()
        common: dict[str, Any] = {"machine": "press-07", "condition": "oil_high", "severity": Severity.WARNING, "title": "oil"}
        common |= {"tags": ("oil",), **changes}
        return Finding(state=state, t_ns=t_ns, since_ns=since or t_ns - int(age * SECOND), **common)

    def active(self, *, from_record: bool = False, rule: Rule | None = None, **changes: Any) -> list[str]:
        return self.note(self.incidents.apply(self.finding(State.ACTIVE, **changes), rule or self.rule, from_record=from_record))

    def over(self, *, from_record: bool = False, rule: Rule | None = None, **changes: Any) -> list[str]:
        return self.note(self.incidents.apply(self.finding(State.OVER, **changes), rule or self.rule, from_record=from_record))

    async def wait(self, seconds: float) -> list[str]:
        await self.clock.advance(seconds)
        return self.note(self.incidents.tick())

    def restart(self, rules: dict[str, Rule] | None = None) -> list[str]:
        self.incidents = self._fresh()
        known = [Incident.load(body) for phase, body in self.stored.values() if phase is not Phase.DROPPED]
        closed = [incident for incident in known if incident.state == "closed"]
        rules = {self.rule.detector: self.rule} if rules is None else rules
        last: dict[tuple[str, str], int] = {}
        for incident in closed:
            key = (incident.machine, incident.condition)
            last[key] = max(last.get(key, 0), incident.since_ns)
        self.incidents.restore([incident for incident in known if incident.state != "closed"], rules, last_since=last)
        return self.note(self.incidents.retire(rules))

    def note(self, changes: Iterable[Change]) -> list[str]:
        told = []
        for change in changes:
            self.stored[change.incident.id] = change.phase, change.incident.dump()
            self.numbers.append(change.incident.events)
            told.append(change.phase.value + (f" {change.reason}" if change.reason else ""))
        self.told += told
        return told

    @property
    def one(self) -> Incident:
        (incident,) = self.incidents.open
        return incident


async def test_raised_at_once_without_hold_and_cleared_at_once_without_delay() -> None:
    life = Life()
    assert life.active() == ["raised"]
    assert life.active() == []
    assert life.over() == ["cleared"]
    assert life.over() == []


async def test_hold_raises_only_what_lasts() -> None:
    life = Life(Rule("limit-1", "limit", hold=30.0, clear_after=0.0))
    assert life.active() == []
    assert await life.wait(29.9) == []
    assert life.over() == []
    assert life.active() == []
    assert await life.wait(29.9) == []
    assert await life.wait(0.2) == ["raised"]


async def test_what_already_passed_counts_as_held() -> None:
    life = Life(Rule("limit-1", "limit", hold=30.0, clear_after=0.0))
    assert life.active(age=31.0) == ["raised"]
    other = Life(Rule("limit-1", "limit", hold=30.0, clear_after=0.0))
    assert other.active(age=20.0) == []
    assert await other.wait(10.1) == ["raised"]


async def test_a_finding_may_bring_its_own_hold() -> None:
    life = Life(Rule("limit-1", "limit", hold=30.0, clear_after=0.0))
    assert life.active(hold_seconds=0.0) == ["raised"]


async def test_a_flapping_signal_is_one_incident_with_its_occurrences() -> None:
    life = Life(Rule("limit-1", "limit", hold=0.0, clear_after=60.0))
    life.active()
    for _ in range(50):
        await life.wait(20.0)
        life.over()
        await life.wait(20.0)
        life.active()
    assert life.told == ["raised"]
    assert life.one.occurrences == 51
    life.over()
    assert await life.wait(60.1) == ["cleared"]


async def test_rising_severity_and_another_diagnosis_are_told_falling_severity_is_not() -> None:
    life = Life()
    life.active()
    assert life.active(severity=Severity.CRITICAL) == ["updated severity"]
    assert life.active(severity=Severity.WARNING) == []
    assert life.active(severity=Severity.CRITICAL) == []
    assert life.active(key="outer_race", severity=Severity.CRITICAL) == ["updated diagnosis"]
    assert life.one.worst is Severity.CRITICAL
    assert life.one.events == 3


async def test_post_trigger_evidence_is_one_update_while_it_is_open() -> None:
    life = Life(evidence_seconds=30.0)
    life.active()
    assert await life.wait(30.1) == ["updated evidence"]
    assert await life.wait(100.0) == []
    brief = Life(evidence_seconds=30.0)
    brief.active()
    brief.over()
    assert await brief.wait(31.0) == []


async def test_two_things_due_at_once_have_a_number_each() -> None:
    """The pipeline was held up: the post-trigger evidence and the end are due in one tick."""
    life = Life(Rule("limit-1", "limit", hold=0.0, clear_after=5.0), evidence_seconds=3.0)
    life.active()
    life.over()
    assert await life.wait(6) == ["updated evidence", "cleared"]
    assert life.numbers == [1, 2, 3]


async def test_a_restart_goes_on_with_an_open_incident_and_its_numbering() -> None:
    life = Life()
    life.active()
    life.restart()
    assert life.active(severity=Severity.CRITICAL) == ["updated severity"]
    assert life.over() == ["cleared"]
    (_, body), *more = life.stored.values()
    assert more == []
    assert Incident.load(body).events == 3


async def test_an_incident_that_was_clearing_is_cleared_after_the_rest_of_its_time() -> None:
    life = Life(Rule("limit-1", "limit", hold=0.0, clear_after=60.0))
    life.active(from_record=True)
    life.over(from_record=True)
    await life.clock.advance(50.0)
    assert life.restart() == []
    assert await life.wait(9.0) == []
    assert await life.wait(2.0) == ["cleared"]


async def test_a_pending_condition_of_a_message_is_stored_and_raised_after_a_restart() -> None:
    life = Life(Rule("order-1", "order", hold=7200.0, clear_after=0.0))
    assert life.active(from_record=True) == ["noted"]
    await life.clock.advance(7000.0)
    life.restart()
    assert await life.wait(100.0) == []
    assert await life.wait(101.0) == ["raised"]


async def test_every_change_a_message_makes_is_stored_before_it_is_acknowledged() -> None:
    """The message is gone after its acknowledgement: what it said must not be."""
    life = Life(Rule("order-1", "order", hold=0.0, clear_after=300.0))
    assert life.active(from_record=True) == ["raised"]
    assert life.active(from_record=True, title="later still") == ["noted"]
    assert life.over(from_record=True) == ["noted"]
    life.restart()
    assert life.one.title == "later still"
    assert await life.wait(300.1) == ["cleared"]


async def test_a_pending_condition_that_came_to_nothing_is_closed_in_silence() -> None:
    life = Life(Rule("order-1", "order", hold=60.0, clear_after=0.0))
    life.active(from_record=True)
    assert life.over(from_record=True) == ["dropped"]
    life.restart()
    assert await life.wait(100.0) == []


async def test_a_detector_older_than_the_end_of_its_incident_does_not_open_the_closed_case_again() -> None:
    """Killed after clearing, before the next snapshot: the detector still believes in the old beginning."""
    life = Life()
    began = life.clock.now_ns()
    life.active(since=began)
    await life.wait(5.0)
    life.over()
    await life.wait(5.0)
    life.restart()
    assert life.active(since=began) == ["raised"]
    assert life.one.since_ns == life.clock.now_ns()
    assert len(life.stored) == 2


async def test_a_detector_older_than_an_earlier_incident_does_not_open_that_one_either() -> None:
    life = Life()
    began = life.clock.now_ns()
    life.active(since=began)
    life.over()
    await life.wait(5.0)
    life.active()
    life.over()
    await life.wait(5.0)
    life.restart()
    life.active(since=began)
    assert len(life.stored) == 3


async def test_a_clock_that_was_set_back_raises_all_the_same() -> None:
    life = Life()
    ahead = life.clock.now_ns() + 3600 * SECOND
    finding = Finding(
        machine="press-07", condition="oil_high", state=State.ACTIVE, t_ns=ahead, since_ns=ahead, severity=Severity.WARNING, title="oil"
    )
    life.note(life.incidents.apply(finding, RULE))
    life.over()
    assert life.active() == ["raised"]


async def test_without_memory_of_what_is_over_no_beginning_of_before_is_believed() -> None:
    life = Life()
    began = life.clock.now_ns()
    await life.clock.advance(10.0)
    life.incidents.restore([], {"limit-1": RULE}, forgot=True)
    life.active(since=began)
    assert life.one.since_ns == life.clock.now_ns()


async def test_another_watch_does_not_end_what_one_says_is_active() -> None:
    other = Rule("limit-2", "limit", hold=0.0, clear_after=0.0)
    life = Life()
    life.active()
    assert life.over(rule=other) == []
    assert life.over() == ["cleared"]


class TestRetire:
    async def test_what_nobody_watches_any_more_ends_with_the_reason(self) -> None:
        life = Life()
        life.active()
        assert life.restart(rules={}) == ["cleared"]
        (_, body), *_ = life.stored.values()
        assert "does not watch" in Incident.load(body).explanation["ended"]

    async def test_a_watch_that_lost_the_tag_ends_its_incident(self) -> None:
        life = Life()
        life.active()
        smaller = Rule("limit-1", "limit", 0.0, 0.0, frozenset({"press-07/pressure"}))
        assert life.restart(rules={"limit-1": smaller}) == ["cleared"]

    async def test_a_watch_that_was_only_renumbered_keeps_its_incident(self) -> None:
        life = Life()
        life.active()
        before = Rule("limit-1", "limit", 0.0, 0.0, frozenset({"press-07/pressure"}))
        now = Rule("limit-2", "limit", 0.0, 0.0, frozenset({"press-07/oil"}))
        assert life.restart(rules={"limit-1": before, "limit-2": now}) == []
        assert life.over(rule=now) == ["cleared"]

    async def test_a_watch_that_has_no_opinion_on_the_condition_any_more_ends_its_incident(self) -> None:
        """Only its `low` is left, or another watch of the same tag and kind that has none."""
        for name in ("limit-1", "limit-2"):
            life = Life()
            life.active()
            low = Rule(name, "limit", 0.0, 0.0, frozenset({"press-07/oil"}), tells=lambda _machine, condition: condition == "oil_low")
            assert life.restart(rules={name: low}) == ["cleared"]

    async def test_a_pending_one_is_dropped(self) -> None:
        life = Life(Rule("limit-1", "limit", hold=60.0, clear_after=0.0))
        life.active()
        assert life.note(life.incidents.retire({})) == ["dropped"]
        assert await life.wait(100.0) == []

    async def test_new_delays_hold_from_now_on(self) -> None:
        life = Life(Rule("limit-1", "limit", hold=0.0, clear_after=60.0))
        life.active()
        life.rule = RULE
        life.note(life.incidents.retire({"limit-1": RULE}))
        assert life.over() == ["cleared"]


@pytest.mark.parametrize("state", ["open", "pending"])
def test_an_incident_is_json_and_back(state: str) -> None:
    life = Life(Rule("limit-1", "limit", hold=0.0 if state == "open" else 5.0, clear_after=0.0))
    life.active(from_record=True, explanation={"value": 71.5, "unit": "degC"}, evidence={"spectrum": [1.0]})
    ((_, body),) = life.stored.values()
    incident = Incident.load(body)
    assert incident.state == state
    assert Incident.load(incident.dump()) == incident


async def test_timers_of_a_flapping_signal_do_not_pile_up() -> None:
    life = Life(Rule("limit-1", "limit", hold=0.0, clear_after=300.0), evidence_seconds=30.0)
    for _ in range(5000):
        life.active()
        life.over()
        await life.clock.advance(0.01)
    assert len(life.incidents._timers) < 300
    assert life.told == ["raised"]
    assert await life.wait(301.0) == ["updated evidence", "cleared"]


class TestWithheld:
    """Shelved, or in a blackout: not told while that lasts."""

    @staticmethod
    def shelved(life: Life, *, critical: bool = False) -> None:
        life.incidents.withhold = lambda incident: "shelved by Eva" if critical or incident.peak < Severity.CRITICAL else ""

    @staticmethod
    def unshelved(life: Life) -> None:
        life.incidents.withhold = lambda _: ""

    async def test_what_holds_when_the_shelf_expires_is_told_then_with_the_reason(self) -> None:
        life = Life()
        self.shelved(life)
        assert life.active() == []
        assert [(incident.condition, why) for incident, why in life.incidents.waiting] == [("oil_high", "shelved by Eva")]
        assert await life.wait(3600) == []
        self.unshelved(life)
        assert await life.wait(1) == ["raised"]
        assert life.one.explanation["withheld"] == "shelved by Eva"
        assert life.one.raised_ns - life.one.since_ns == 3601 * SECOND
        assert life.incidents.waiting == []

    async def test_what_is_over_when_the_shelf_expires_is_never_told(self) -> None:
        life = Life()
        self.shelved(life)
        assert life.active() == life.over() == []
        self.unshelved(life)
        assert await life.wait(10) == []
        assert life.active() == ["raised"]

    async def test_it_must_still_hold_for_its_time(self) -> None:
        life = Life(Rule("limit-1", "limit", hold=60.0, clear_after=0.0))
        self.shelved(life)
        life.active()
        await life.wait(10)
        self.unshelved(life)
        assert await life.wait(10) == []
        assert await life.wait(40) == ["raised"]

    async def test_one_that_begins_anew_must_hold_anew(self) -> None:
        life = Life(Rule("limit-1", "limit", hold=60.0, clear_after=0.0))
        self.shelved(life)
        life.active()
        assert await life.wait(61) == []
        life.over()
        life.active()
        assert life.incidents.waiting == []
        self.unshelved(life)
        assert await life.wait(10) == []
        assert await life.wait(50) == ["raised"]

    async def test_what_becomes_critical_is_told_at_once_unless_the_shelf_is_for_that_too(self) -> None:
        life = Life()
        self.shelved(life)
        assert life.active() == []
        assert life.active(severity=Severity.CRITICAL) == ["raised"]
        life = Life()
        self.shelved(life, critical=True)
        assert life.active(severity=Severity.CRITICAL) == []

    async def test_an_open_one_is_not_updated_but_its_end_is_told(self) -> None:
        life = Life(evidence_seconds=30)
        assert life.active() == ["raised"]
        self.shelved(life)
        assert life.active(severity=Severity.ERROR) == ["noted"]
        assert await life.wait(31) == []
        assert life.numbers == [1, 1]
        assert life.over() == ["cleared"]
        self.unshelved(life)
        assert await life.wait(10) == []

    async def test_what_was_not_updated_is_updated_once_when_the_shelf_expires_also_after_a_restart(self) -> None:
        life = Life()
        life.active()
        self.shelved(life)
        assert life.active(severity=Severity.ERROR) == ["noted"]
        assert life.active(severity=Severity.ERROR, key="outer_race") == ["noted"]
        assert life.restart() == []
        self.shelved(life)
        assert await life.wait(10) == []
        self.unshelved(life)
        assert await life.wait(1) == ["updated severity"]
        assert await life.wait(10) == []

    async def test_one_of_a_business_message_is_stored_and_told_after_a_restart(self) -> None:
        life = Life()
        self.shelved(life)
        assert life.active(from_record=True) == ["noted"]
        life.restart()
        self.shelved(life)
        assert await life.wait(1) == ["noted"]
        self.unshelved(life)
        assert await life.wait(1) == ["raised"]

    async def test_in_a_blackout_of_its_watch_nothing_is_raised_but_an_open_one_goes_on(self) -> None:
        night = [False]
        life = Life(Rule("limit-1", "limit", hold=5.0, clear_after=0.0, quiet=lambda machine, now_ns: machine == "press-07" and night[0]))
        life.active()
        night[0] = True
        assert await life.wait(10) == []
        night[0] = False
        assert await life.wait(1) == ["raised"]
        night[0] = True
        assert life.active(severity=Severity.CRITICAL) == ["updated severity"]


class TestTwoWatches:
    """Of one condition: `slow` waits longer with what is less."""

    SLOW = Rule("slow", "limit", hold=600.0, clear_after=0.0, watched=frozenset({"press-07/oil"}))
    HOT = Rule("hot", "limit", hold=0.0, clear_after=0.0, watched=frozenset({"press-07/oil"}))
    LATE = Rule("late", "limit", hold=60.0, clear_after=0.0, watched=frozenset({"press-07/oil"}))

    @pytest.mark.parametrize("first", [SLOW, HOT], ids=["slow first", "hot first"])
    async def test_it_is_raised_as_soon_as_one_would_and_over_when_no_one_says_so_any_more(self, first: Rule) -> None:
        life = Life()
        told = life.active(rule=first) + life.active(rule=self.HOT if first is self.SLOW else self.SLOW)
        assert told == ["raised"]
        assert life.over(rule=self.HOT) == ["noted"]
        assert life.one.detector == "slow"
        assert await life.wait(700) == []
        assert life.over(rule=self.SLOW) == ["cleared"]

    async def test_one_that_came_to_nothing_leaves_the_other_its_time(self) -> None:
        life = Life()
        assert life.active(rule=self.SLOW, title="slow") + life.active(rule=self.LATE, severity=Severity.CRITICAL) == []
        assert life.over(rule=self.LATE) == []
        assert await life.wait(599) == []
        assert await life.wait(1) == ["raised"]
        assert (life.one.detector, life.one.title, life.one.peak) == ("slow", "slow", Severity.WARNING)

    async def test_the_second_makes_it_worse_when_it_has_held_for_its_time(self) -> None:
        life = Life()
        assert life.active(rule=self.HOT) + life.active(rule=self.LATE, severity=Severity.CRITICAL) == ["raised"]
        assert await life.wait(59) == []
        assert await life.wait(1) == ["updated severity"]
        assert life.over(rule=self.HOT) + life.over(rule=self.LATE) == ["noted", "cleared"]

    async def test_the_second_makes_it_worse_when_the_first_has_gone_meanwhile(self) -> None:
        life = Life()
        life.active(rule=self.HOT)
        life.active(rule=self.LATE, severity=Severity.CRITICAL)
        await life.wait(30)
        assert life.over(rule=self.HOT) == ["noted"]
        assert await life.wait(30) == ["updated severity"]
        assert life.over(rule=self.LATE) == ["cleared"]

    async def test_it_is_one_incident_over_a_restart_after_which_the_first_says_again_that_it_is_over(self) -> None:
        life = Life()
        assert life.active(rule=self.HOT) + life.active(rule=self.SLOW) == ["raised"]
        life.over(rule=self.HOT)
        assert life.restart({"hot": self.HOT, "slow": self.SLOW}) == []
        assert life.over(rule=self.HOT) + life.active(rule=self.SLOW, since=life.one.since_ns) == []
        assert life.over(rule=self.SLOW) == ["cleared"]

    async def test_the_second_may_say_so_with_every_reading(self) -> None:
        life = Life()
        assert life.active(rule=self.HOT) == ["raised"]
        began = life.clock.now_ns()
        for _ in range(500):
            assert await life.wait(0.1) + life.active(rule=self.LATE, severity=Severity.CRITICAL, since=began) == []
        assert len(life.incidents._timers) < 10
        assert await life.wait(10) == ["updated severity"]

    async def test_in_a_blackout_of_the_first_the_second_raises_it(self) -> None:
        """A warning's blackout at night is no reason to keep a critical limit back."""
        night, life = [True], Life()
        calm = Rule("calm", "limit", hold=0.0, clear_after=0.0, quiet=lambda _machine, _now_ns: night[0])
        assert life.active(rule=calm) + await life.wait(5) == []
        assert life.active(rule=self.LATE, severity=Severity.CRITICAL) + await life.wait(59) == []
        assert await life.wait(2) == ["raised"]
        assert (life.one.detector, life.one.peak) == ("late", Severity.CRITICAL)
        assert life.over(rule=self.LATE) == ["noted"]
        assert life.over(rule=calm) == ["cleared"]

    async def test_in_a_blackout_of_both_whose_ends_first_raises_it(self) -> None:
        nights, life = {"calm": True, "still": True}, Life()
        calm, still = (Rule(name, "limit", 0.0, 0.0, quiet=lambda _machine, _now_ns, name=name: nights[name]) for name in nights)
        assert life.active(rule=calm) + life.active(rule=still) + await life.wait(5) == []
        nights["still"] = False
        assert await life.wait(1) == ["raised"]
        assert life.one.detector == "still"

    async def test_what_the_second_begins_again_it_ends(self) -> None:
        life, rule = Life(), Rule("first", "limit", hold=0.0, clear_after=300.0)
        assert life.active(rule=rule) == ["raised"]
        assert life.over(rule=rule) + life.active(rule=self.HOT) + life.over(rule=self.HOT) == ["noted", "cleared"]

    async def test_what_the_second_says_before_it_is_closed_goes_on(self) -> None:
        life, rule = Life(), Rule("first", "limit", hold=0.0, clear_after=300.0)
        assert life.active(rule=rule) + life.over(rule=rule) == ["raised"]
        assert life.active(rule=self.SLOW) == ["noted"]
        assert await life.wait(500) == []
        assert life.over(rule=self.SLOW) == ["cleared"]

    async def test_a_shelved_one_goes_on_too(self) -> None:
        life, why = Life(), ["shelved"]
        life.incidents.withhold = lambda _incident: why[0]
        assert life.active(rule=self.HOT) + life.active(rule=self.SLOW) + life.over(rule=self.HOT) == []
        why[0] = ""
        assert await life.wait(500) == []
        assert await life.wait(100) == ["raised"]
        assert life.over(rule=self.SLOW) == ["cleared"]

    async def test_a_watch_that_goes_leaves_it_to_the_one_that_says_the_same(self) -> None:
        life = Life()
        life.active(rule=self.HOT)
        life.active(rule=self.SLOW)
        assert life.note(life.incidents.retire({"slow": self.SLOW, "other": self.LATE})) == ["noted"]
        assert life.one.detector == "slow"
        assert life.over(rule=self.SLOW) == ["cleared"]

    async def test_a_watch_that_goes_leaves_it_to_nobody_who_has_never_said_so(self) -> None:
        """It would stay open until that one's own limit was crossed and left again."""
        life = Life()
        life.note(life.incidents.retire({"hot": self.HOT, "slow": self.SLOW}))
        life.active(rule=self.HOT)
        assert life.note(life.incidents.retire({"slow": self.SLOW})) == ["cleared"]
