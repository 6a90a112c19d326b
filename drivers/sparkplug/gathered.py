"""What the messages of one drain gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan

from gateway.contract import BAD, Batch, Health, Item, Quality, Tag, Trouble, Waveform

BACKFILLED = int(Quality.BACKFILLED)


@dataclass(slots=True)
class Gathered:
    """In the order of the messages.

    readings   (tag, t_ns, value, quality)
    lost       counts by reason
    """

    readings: list[tuple[int, int, float, int]] = field(default_factory=list)
    blocks: list[Waveform] = field(default_factory=list)
    health: list[Health] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)

    def lose(self, reason: str, count: int = 1) -> None:
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count

    def bad(self, tags: list[Tag], t_ns: int, quality: int = BAD) -> None:
        """These tags have no value from here on."""
        self.readings += [(tag.index, t_ns, nan, quality) for tag in tags if tag.options.kind != "waveform"]

    def tell(self, trouble: Trouble, device: str, why: str, **facts: object) -> None:
        """A level; without a `why` it is over."""
        self.health.append(Health(trouble=trouble, active=bool(why), why=why, device=device, facts=facts if why else {}))

    def filled(self) -> tuple[int, int, int] | None:
        """(from, to, how many) of what came later from the node's own store."""
        times = [t_ns for _, t_ns, _, quality in self.readings if quality == BACKFILLED]
        return (min(times), max(times), len(times)) if times else None

    def items(self) -> list[Item]:
        """One Batch, then blocks."""
        batch: list[Item] = [Batch.of(*zip(*self.readings, strict=True))] if self.readings else []
        return [*batch, *self.blocks]
