"""Token buckets and their reserve; a breaker and a drift that behave under any order of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from gateway.contract import SENT, BudgetOptions, Outcome, OutcomeKind, RetryOptions, Usage
from gateway.outbox.breaker import HOLD_SECONDS, Breaker
from gateway.outbox.budget import DAY, HOUR, UNLIMITED, Budget, Filling, Pace
from gateway.outbox.drift import IN_A_ROW, Drift
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs import event


class TestBudget:
    def test_without_limits_everything_may_go(self) -> None:
        budget = Budget(FakeClock(), None)
        assert not budget.limited
        assert budget.allowed(critical=False) == UNLIMITED

    async def test_the_reserve_is_for_critical_events(self) -> None:
        clock = FakeClock()
        budget = Budget(clock, BudgetOptions(per_hour=100, reserve=0.2))
        budget.spend([event(n) for n in range(80)])
        assert (budget.allowed(critical=False), budget.allowed(critical=True)) == (0, 20)
        assert budget.wait_seconds() == HOUR / 100
        await clock.advance(budget.wait_seconds())
        assert budget.allowed(critical=False) == 1

    async def test_the_tightest_of_several_limits_counts(self) -> None:
        clock = FakeClock()
        budget = Budget(clock, BudgetOptions(per_hour=10, per_day=15, reserve=0.0))
        budget.spend([event(n) for n in range(10)])
        await clock.advance(HOUR)
        assert budget.allowed(critical=False) == 5
        assert "per_day" in budget.why()

    async def test_usage_told_by_the_receiver_stops_all_but_critical_until_it_recovers_or_is_looked_at_again(self) -> None:
        clock = FakeClock()
        budget = Budget(clock, BudgetOptions(reserve=0.2))
        budget.told(Usage(81, 100))
        assert (budget.allowed(critical=False), budget.allowed(critical=True)) == (0, UNLIMITED)
        await clock.advance(budget.wait_seconds())
        assert budget.allowed(critical=False) == UNLIMITED, "one look whether it has recovered"
        budget.told(Usage(79, 100))
        assert budget.allowed(critical=False) == UNLIMITED

    @given(
        spent=st.lists(st.integers(0, 30), max_size=10),
        away=st.floats(-1e9, 1e9, allow_nan=False),
        reserve=st.floats(0, 0.9),
    )
    def test_recalled_it_never_holds_more_than_its_capacity_nor_less_than_before(
        self, spent: list[int], away: float, reserve: float
    ) -> None:
        options = BudgetOptions(per_day=50, reserve=reserve)
        clock = FakeClock()
        budget = Budget(clock, options)
        for count in spent:
            budget.spend([event(n) for n in range(count)])
        before = budget.allowed(critical=True)
        fillings = budget.fillings()
        later = FakeClock(clock.now_ns() + round(away * 1e9))
        again = Budget(later, options)
        again.recall(fillings)
        assert before <= again.allowed(critical=True) <= 50
        if away <= 0:
            assert again.allowed(critical=True) == before

    @pytest.mark.parametrize(("limit", "left"), [(100, 92), (4, 0)])
    def test_after_another_limit_was_configured_what_was_spent_stays_spent(self, limit: int, left: int) -> None:
        """A budget that is raised because it was used up lets through what it has more, and does not fill up its reserve first."""
        clock = FakeClock()
        before = Budget(clock, BudgetOptions(per_day=10))
        before.spend([event(n) for n in range(8)])
        again = Budget(clock, BudgetOptions(per_day=limit))
        again.recall(before.fillings())
        assert again.allowed(critical=True) == left

    def test_a_bucket_nobody_configures_any_more_is_forgotten(self) -> None:
        budget = Budget(FakeClock(), BudgetOptions(per_hour=5))
        budget.recall([Filling("day", 0.0, 0), Filling("machine/m1", 0.0, 0)])
        assert budget.allowed(critical=True) == 5

    async def test_each_machine_has_its_day(self) -> None:
        clock = FakeClock()
        budget = Budget(clock, BudgetOptions(per_machine_and_day=4, reserve=0.0))
        budget.spend([replace(event(n), partitionkey="m1") for n in range(4)])
        assert (budget.room("m1"), budget.room("m2")) == (0, 4)
        assert budget.machine_wait_seconds("m1") == DAY / 4

    async def test_a_pace_lets_so_many_through_per_second(self) -> None:
        clock = FakeClock()
        pace, passed = Pace(clock, 5.0), 0
        for _ in range(100):
            count = pace.allowed()
            pace.spend(count)
            passed += count
            await clock.advance(0.1)
        assert 50 <= passed <= 55


class BreakerLaw(RuleBasedStateMachine):
    """Any order of answers, waits and restarts: never sending while it waits, always sending again in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.options = RetryOptions(first="1s", longest="20s", failures=3, longest_hold="1h")
        self.clock = FakeClock()
        self.breaker = Breaker(self.clock, self.options)
        self.row = 0

    @rule(after=st.floats(0, 1e6))
    def fail(self, after: float) -> None:
        wait = self.breaker.failed("503", after)
        self.row += 1
        assert min(after, 3600) <= wait <= max(20.0, min(after, 3600))
        assert not self.breaker.well
        assert (self.breaker.state == "closed") == (self.row < 3 and not self.breaker.holding)

    @rule(after=st.just(0.0) | st.floats(0.001, 1e6))
    def hold(self, after: float) -> None:
        wait = self.breaker.held("quota", after)
        assert wait == min(after or HOLD_SECONDS, 3600)
        assert self.breaker.state == "open" or wait == 0

    @rule()
    def succeed(self) -> None:
        self.breaker.succeeded()
        self.row = 0
        assert (self.breaker.state, self.breaker.wait_seconds(), self.breaker.well) == ("closed", 0.0, True)

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        _turn(self.clock, seconds)

    @rule(jump=st.just(0.0) | st.floats(-1e8, 1e8))
    def restart(self, jump: float) -> None:
        kept, state, wait = self.breaker.memory(), self.breaker.state, self.breaker.wait_seconds()
        self.clock = FakeClock(self.clock.now_ns() + round(jump * 1e9))
        self.breaker = Breaker(self.clock, self.options)
        self.breaker.recall(kept)
        assert (self.breaker.state == "closed") == (state == "closed" and not kept.held)
        assert jump or abs(self.breaker.wait_seconds() - wait) < 1e-3, "also when it was asked for by a receiver that was only busy"
        assert self.breaker.memory().since_ns == kept.since_ns

    @invariant()
    def it_never_waits_longer_than_it_may(self) -> None:
        assert self.breaker.wait_seconds() <= 3600 + 1e-6

    @invariant()
    def half_open_means_that_nothing_is_waited_for(self) -> None:
        assert (self.breaker.state == "open") <= (self.breaker.wait_seconds() > 0)
        assert (self.breaker.state == "half-open") <= (self.breaker.wait_seconds() == 0)


def _turn(clock: FakeClock, seconds: float) -> None:
    """Nobody sleeps on it here."""
    coroutine = clock.advance(seconds)
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


TestBreakerLaw = BreakerLaw.TestCase


class TestDrift:
    @given(st.lists(st.sampled_from([Outcome.park("no", code="A"), Outcome.retry("busy"), Outcome.hold("quota")]), max_size=40))
    def test_with_nothing_taken_between_only_the_first_few_of_a_code_are_parked(self, answers: list[Outcome]) -> None:
        drift = Drift(FakeClock())
        told = [outcome for answer in answers for outcome in drift.judge([answer])]
        refused = [answer.kind is OutcomeKind.PARK for answer in answers]
        assert sum(outcome.kind is OutcomeKind.PARK for outcome in told) == min(sum(refused), IN_A_ROW - 1)
        assert all(said == answer for said, answer, was in zip(told, answers, refused, strict=True) if not was)

    def test_a_whole_batch_is_held(self) -> None:
        held = Drift(FakeClock()).judge([Outcome.park("no", code="A")] * 200)
        assert {outcome.kind for outcome in held} == {OutcomeKind.HOLD}
        assert "A" in held[0].reason

    def test_one_that_passes_in_the_batch_acquits_the_receiver(self) -> None:
        drift = Drift(FakeClock())
        mixed = [SENT, *[Outcome.park("no", code="A")] * 2]
        assert drift.judge(mixed) == mixed

    def test_without_a_code_nothing_is_suspected(self) -> None:
        parked = [Outcome.park("400: no")] * 50
        assert Drift(FakeClock()).judge(parked) == parked

    async def test_after_an_acquittal_that_code_is_parked_for_a_while(self) -> None:
        clock = FakeClock()
        drift = Drift(clock)
        wrong = [Outcome.park("no", code="A")] * IN_A_ROW
        assert drift.judge(wrong)[0].kind is OutcomeKind.HOLD
        drift.judge([SENT])
        assert drift.judge(wrong) == wrong
        await clock.advance(3600)
        assert drift.judge(wrong)[0].kind is OutcomeKind.HOLD
