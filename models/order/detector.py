"""Milestones of orders, and orders that are late."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import ClassVar, Literal

from gateway.contract import Batch, DetectorContext, Finding, Frame, Record, Severity, State, Waveform
from models.order.config import OrderOptions
from models.order.memory import Last, Memory
from models.order.path import steps, text_at
from models.order.unreadable import Unreadable

_LONGEST = 100


class Order:
    """Every step of an order is a fact, ``milestone_reached``; an order that then stands still is late.

    A detector has no clock, and an order that stands still sends nothing. So each step that is not final begins the
    condition ``order_<number>_late`` with ``hold_seconds = late_after``, and the next step ends it: the engine raises
    it when nothing came in between, also across a restart.

    record     fields with an order and a step, as text or whole number of at most 100 printable characters; anything
               else is no milestone, and told as ``<record>_unreadable``
    returns    the fact; then OVER of the old waiting, and ACTIVE of the new one. A repeated record says the same again
               (same key, same time: the same event id), one that is older than the order's last step is a fact only
    score      0
               With the first record after a start, OVER of what is not waited for any more by another configuration
    state      time and name of the last step, for at most `max_orders` orders; a number per kind of record; the final steps
    """

    takes: ClassVar[frozenset[type]] = frozenset({Record})

    def __init__(self, options: OrderOptions, context: DetectorContext) -> None:
        self._late_after, self._final = options.late_after, frozenset(options.final)
        self._order, self._step = steps(options.order), steps(options.step)
        self._paths = {"order": options.order, "step": options.step}
        self._machine = {record.path: record.machine for record in context.records}
        self._memory = Memory(options.max_orders)
        self._unreadable = Unreadable(context.records) if options.unreadable == "tell" else None
        self._ended: list[tuple[str, str, str]] = []
        """Machine, order and why: by the configuration of now it is not waited for any more."""

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Record)  # noqa: S101  `takes` says so
        machine = self._machine.get(item.source)
        order, step = _short(text_at(dict(item.fields), self._order)), _short(text_at(dict(item.fields), self._step))
        if machine is None:
            return []
        if order is None or step is None:
            return self._readable(item, "order" if order is None else "step")
        told = [_milestone(machine, order, step, item), *self._over_since(item.t_ns), *self._waiting(machine, order, step, item.t_ns)]
        return [*told, *self._readable(item, "")]

    def _over_since(self, t_ns: int) -> list[Finding]:
        ended, self._ended = self._ended if self._late_after is not None else [], []
        return [_over(machine, order, t_ns, why) for machine, order, why in ended]

    def _readable(self, item: Record, missing: Literal["", "order", "step"]) -> list[Finding]:
        return [] if self._unreadable is None else self._unreadable.seen(item, missing, self._paths.get(missing, ""))

    def _waiting(self, machine: str, order: str, step: str, t_ns: int) -> list[Finding]:
        last = self._memory.get((machine, order))
        if last is not None and t_ns < last.t_ns:
            return []
        if last is not None and t_ns == last.t_ns and step in last.steps:
            return [] if self._late_after is None else [self._level(machine, order, last, t_ns)]
        now = Last(t_ns, (step,)) if last is None else last.then(t_ns, step)
        forgotten = self._memory.put((machine, order), now)
        if self._late_after is None:
            return []
        ended = [_over(*who, t_ns, "is not followed any more: too many orders") for who, old in forgotten if not self._done(old)]
        if self._done(now):
            return [*ended, self._level(machine, order, now, t_ns)]
        return [*ended, _over(machine, order, t_ns, f"went on to {step}"), self._level(machine, order, now, t_ns)]

    def _done(self, last: Last) -> bool:
        return last.steps[-1] in self._final

    def _level(self, machine: str, order: str, last: Last, t_ns: int) -> Finding:
        """Whether this order is waited for now."""
        step = last.steps[-1]
        if self._done(last):
            return _over(machine, order, t_ns, f"is done: {step}")
        return Finding(
            machine=machine,
            condition=_condition(order),
            state=State.ACTIVE,
            t_ns=t_ns,
            since_ns=last.t_ns,
            severity=Severity.WARNING,
            title=f"order {order} stands still since {step}",
            explanation={"order": order, "step": step, "late_after_seconds": self._late_after},
            hold_seconds=self._late_after,
        )

    def leap(self, machine: str, delta_ns: int) -> None:
        self._memory.leap(machine, delta_ns)

    def dump(self) -> bytes:
        return self._memory.dump(self._unreadable.counts if self._unreadable else {}, self._final)

    def load(self, state: bytes) -> None:
        loaded = self._memory.load(state)
        if self._unreadable is not None:
            self._unreadable.load(loaded.unreadable)
        self._ended = [(*order, "is not followed any more: too many orders") for order in loaded.forgotten]
        now_final = self._final - loaded.final
        self._ended += [(*order, f"is done: {last.steps[-1]}") for order, last in self._memory if last.steps[-1] in now_final]


def _milestone(machine: str, order: str, step: str, record: Record) -> Finding:
    return Finding(
        machine=machine,
        condition="milestone_reached",
        state=State.FACT,
        t_ns=record.t_ns,
        since_ns=record.t_ns,
        severity=Severity.INFO,
        title=f"order {order} reached {step}",
        explanation={"order": order, "step": step, "record": record.source},
        key=f"{order}/{step}",
    )


def _over(machine: str, order: str, t_ns: int, why: str) -> Finding:
    return Finding(
        machine=machine,
        condition=_condition(order),
        state=State.OVER,
        t_ns=t_ns,
        since_ns=t_ns,
        severity=Severity.WARNING,
        title=f"order {order} {why}",
        explanation={"order": order},
    )


def _condition(order: str) -> str:
    """A name for the condition; numbers with signs that names may not have are told apart by a digest.

    >>> _condition("4711-A"), _condition("47 11")
    ('order_4711-A_late', 'order_47-11-70c042b6_late')
    """
    name = re.sub(r"[^A-Za-z0-9.:/-]", "-", order)
    return f"order_{name if name == order else f'{name}-{blake2b(order.encode(), digest_size=4).hexdigest()}'}_late"


def _short(text: str | None) -> str | None:
    return text if text is not None and len(text) <= _LONGEST and text.isprintable() else None
