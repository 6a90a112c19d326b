"""What the page asks of the gateway. The app implements it; this package knows no other part."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from gateway.contract import Json


class View(Protocol):
    """Read-only answers, called from the event loop about once a second per open page, so each takes a few milliseconds.

    Any method may also be a coroutine function (an incident that lies in the database).

    Values are JSON; numpy scalars and arrays are accepted, NaN and infinity leave as null.
    Times are seconds since 1970-01-01 UTC as float, or RFC 3339 text; names ending in ``_ns`` are int nanoseconds;
    null means not yet or never. Keys marked * may be left out. Names come from devices and are never trusted.
    """

    def status(self) -> Json:
        """The gateway as a whole::

        gateway       {name, site, enterprise, version, started, uptime_seconds, now*}
        sources       [{name, kind, state: up|down|ended|connecting, since, why, tags, readings, bad}]
        destinations  [{name, kind, state, since, why, breaker: closed|open|half_open, backlog, delivered, parked, lost*}]
        outbox        {events, bytes, max_bytes, oldest_seconds, orphaned*: {destination no longer configured: events}}
        pipeline      {queue, readings_per_second, last_progress_seconds}
        analysis      [{watch, behind, computed_seconds, budget_seconds, rows_skipped}], of the slow detectors
        clock*        {state: trusted|not_yet|stepped, trusted, by, seconds, why, behind_system_seconds, steps, events_held,
                        events_corrected}
        incidents     {open, last_10_minutes*, flood*: bool, chattering*: ["machine/condition"], standing_over_24_hours*}
        watches*      [{name, detector, shadow: null or {last_week, active}, blackout: [machine],
                        learning: null or {share, still, of, alarms_last_week},
                        left_out: {reason: blocks of fast channels}}]
        shelves*      [{id, machine, condition, critical, since, until, by, why}], the one that ends first first
        withheld*     what is shelved or in a blackout and holds: incidents as `incidents` tells them, with `why`
        security*     {users, tokens, sessions, accounts_problem, listens, wanted, tls, audit: "sound" or what is wrong}
        counters      {name: count}
        """

    def watch(self, name: str) -> Json | None:
        """The same keys as in `status`, and each thing it learns, and what it would have raised, the latest first::

        tags      [{machine, tag, state, share, alarms}]
        would_be  [{machine, condition, at, title}]

        None: there is no such watch.
        """

    def machines(self) -> Json:
        """``[{name, path, asset, state, tags: [...]}]``, in the order of the configuration. `state` is the source's.

        A tag is ``{name, unit, kind: gauge|counter|state|waveform, value, quality, t_ns, age_seconds, limits*}``:
        `value` null and `age_seconds` null before the first reading, `quality` as `contract.reason` names it,
        `limits` the alarm limits a watch knows, ``[{name: "high", value: 70.0}]``. For a waveform `value` is its rms.
        """

    def history(self, machine: str, since_ns: int) -> Json | None:
        """``{machine, tags: {name: {t: [seconds], v: [value or null]}}}``: readings later than `since_ns`, oldest first.

        At most the newest few hundred per tag, so ``since_ns=0`` is always a fair question. None: no such machine.
        """

    def spectra(self) -> Json:
        """The latest analysis of each waveform::

        {"machine/tag": {t_ns, envelope_spectrum*: SPECTRUM, velocity_spectrum*: SPECTRUM}}
        SPECTRUM = {hz_step, hz_start*, amplitudes: [float], unit*, lines*: [{name: "BPFO", hz}]}
        """

    def incidents(self, limit: int) -> Json:
        """Newest first, open ones always among them::

        [{id, machine, condition, title, severity: info|warning|error|critical, state: open|closed|pending,
          since, raised, cleared, updates, events}]
        """

    def incident(self, incident_id: str) -> Json | None:
        """The same keys and ``detector*, asset*, explanation: {...}, evidence: {...}``; None: no such incident.

        In the evidence, at any depth, the page draws every ``{t: [seconds], v: [value or null]}`` as a time series
        (`t` counts from a ``from_ns`` that stands beside or above it) and every SPECTRUM as a spectrum.
        """

    def metrics(self) -> bytes | Awaitable[bytes]:
        """Prometheus text format, UTF-8."""

    def healthy(self) -> tuple[bool, dict[str, Json]]:
        """Whether this process does its work, and why (not). A dead PLC or a dead uplink is not unhealthy."""
