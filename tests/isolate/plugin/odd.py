"""Items that are well formed and that no sane device sends, one after the other."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from gateway.contract import Batch, Item, Quality, Record, Waveform

_TIMES = [0, 1, -1, 2**63 - 1, -(2**63), 1_800_000_000_000_000_000, 4_102_444_800 * 10**9, 951_782_400 * 10**9]
_VALUES = [0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 2.0**63]
_LEAVES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**80,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x" * 100_000,
    "\x00\x1b[31m",
    "<script>",
    "ä\u202e",
]


def item(dice: random.Random, now_ns: int, tags: list[int], blocks: list[int], record: str) -> Item:
    times = [*_TIMES, now_ns, now_ns]
    kind = dice.randrange(3)
    if kind == 0:
        n = dice.choice((0, 1, 5, 300))
        quality = [dice.choice([0, 0, 0, *Quality]) for _ in range(n)]
        t_ns = [dice.choice(times) for _ in range(n)] if dice.random() < 0.5 else sorted(now_ns - dice.randrange(10**9) for _ in range(n))
        return Batch.of([dice.choice(tags) for _ in range(n)], t_ns, [dice.choice(_VALUES) for _ in range(n)], quality)
    if kind == 1:
        samples = np.array([dice.choice(_VALUES) for _ in range(dice.choice((0, 1, 64, 2048)))], dtype=np.float64)
        with np.errstate(over="ignore"):
            narrow = samples.astype(np.float32)
        rate, speed = dice.choice((1e-3, 1.0, 25_600.0, 1e12)), dice.choice((None, 0.0, -1.0, 1500.0, 1e300))
        dropped, quality = dice.choice((0, 1, 2**62)), int(dice.choice(list(Quality)))
        time = dice.choice(times)
        return Waveform(tag=dice.choice(blocks), t_ns=time, rate_hz=rate, samples=narrow, quality=quality, dropped=dropped, speed_rpm=speed)
    return Record(source=record, t_ns=dice.choice(times), fields=_fields(dice))


def _fields(dice: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {dice.choice(("order", "step", "at", "n" * 100_000, "", "\x00")): dice.choice(_LEAVES) for _ in range(3)}
    if dice.random() < 0.7:
        fields |= {"order": f"47{dice.randrange(9)}", "step": dice.choice(("cut", "drill", "done"))}
    deep: Any = 1
    for _ in range(dice.choice((1, 50))):
        deep = [deep] if dice.random() < 0.5 else {"d": deep}
    return fields | {"deep": deep}
