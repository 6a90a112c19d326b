"""The usual case for one reading, in plain floats: what `Bank.step` does, twenty times faster than with arrays of one.

A tag that is polled or published alone is the common case of MQTT. Whatever is not usual (the first reading, a pause,
anything to be told, an alarm) is left to the bank, with nothing changed. A test holds the two together.
"""

from __future__ import annotations

from math import expm1, inf, log2, sqrt

import numpy as np

from models.anomaly.bank import Bank
from models.anomaly.settings import CLIP, FIRST_REFRESH, NONE, PAUSE, REFRESH, RIPE
from models.anomaly.tail import BINS, LOWEST, PER_OCTAVE


def usual(bank: Bank, row: int, t_ns: int, x: float) -> bool:
    """Learn a reading in which nothing happens; False, and nothing is changed, when something does."""
    c, o = bank.columns, bank.settings
    last_t, quiet_until, _, _ = c.times[:, row].tolist()
    kind, _, told = c.alarm[:, row].tolist()
    now = c.now[:, row].tolist()
    level, fast, spike_var, level_var, step, last, before, interval, n, fast_n, learnt, age, spike_limit, level_limit = now
    dt = (t_ns - last_t) * 1e-9
    if kind != NONE or n == 0 or fast_n == 0 or dt <= 0 or dt > max(o.gap, PAUSE * interval) or t_ns < quiet_until:
        return False
    moved = abs(x - last)
    if 0 < moved < step:
        step = moved
    middle = max(min(x, last), min(max(x, last), before))
    present = fast + max(-expm1(dt / -o.smooth), 1 / (fast_n + 1)) * (middle - fast)
    spike, shift = abs(x - fast), abs(present - level)
    spike_spread, level_spread = max(sqrt(spike_var), step), max(sqrt(level_var), step)
    if spike_limit < inf:
        factor = 1.0 if bank.factor is None else float(bank.factor[row])
        if not told or (spike > spike_spread * (spike_limit * factor) and spike >= o.at_least):
            return False
        if shift > level_spread * (level_limit * factor) and shift >= o.at_least:
            return False
    decay = -expm1(dt / -o.memory)
    w = max(decay, 1 / n)
    most = CLIP * CLIP if n >= RIPE else inf
    spike_var += w * (min(spike * spike, most * spike_spread * spike_spread) - spike_var)
    level_var += w * (min(shift * shift, most * level_spread * level_spread) - level_var)
    if n >= RIPE:
        c.histogram[0, row, _bin(min(spike / spike_spread, spike_limit))] += 1
        c.histogram[1, row, _bin(min(shift / level_spread, level_limit))] += 1
    level += max(decay, 1 / (n + 1)) * (x - level)
    interval += w * (dt - interval)
    learnt += dt
    c.now[:, row] = (
        level, present, spike_var, level_var, step, x, last, interval, n + 1, fast_n + 1, learnt, age + dt, spike_limit, level_limit,
    )  # fmt: skip
    c.times[0, row] = t_ns
    if learnt >= o.warm_up and n + 1 >= o.warm_up_readings and (n + 1 + row) % (REFRESH if spike_limit < inf else FIRST_REFRESH) == 0:
        bank.refresh(np.array([row]))
    return True


def _bin(z: float) -> int:
    return min(int((log2(max(z, 0.5)) - LOWEST) * PER_OCTAVE), BINS - 1)
