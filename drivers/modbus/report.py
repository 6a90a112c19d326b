"""What is told of a device's health: levels, each said once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from drivers.modbus.plan import Item
from gateway.contract import Health, Trouble

_NAMED_MOST = 50


class Report:
    """`silent`: units that were said not to answer."""

    def __init__(self, tell: Callable[[Health], None], items: Sequence[Item]) -> None:
        self._tell, self._items = tell, items
        self._tags = Counter(item.unit for item in items if item.index >= 0)
        self.silent: set[int] = set()
        self._refused: frozenset[int] = frozenset()

    def unit(self, unit: int, why: str) -> None:
        """It does not answer; or, with no `why`, it does again."""
        if bool(why) == (unit in self.silent):
            return
        self.silent ^= {unit}
        facts = {"unit_id": unit, "tags": self._tags[unit]} if why else {}
        self._tell(Health(trouble=Trouble.DEGRADED, active=bool(why), why=why, device=f"unit {unit}", facts=facts))

    def refused(self, indices: frozenset[int]) -> None:
        """These addresses are refused, and no others."""
        if indices == self._refused:
            return
        self._refused = indices
        places = [f"unit {item.unit}: {item.place}" for item in self._items if item.index in indices]
        why = f"refuses {len(places)} {'address' if len(places) == 1 else 'addresses'}" if places else ""
        facts = {"refused": places[:_NAMED_MOST]} if places else {}
        self._tell(Health(trouble=Trouble.DEGRADED, active=bool(places), why=why, facts=facts))
