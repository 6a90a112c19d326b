"""A PLC, an MES, a CRM, and the daemon between them; at the end, whether everything that was taken is there, and once."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.testkit.servers.ports import free_port
from rig import answers, outbox
from rig.crm import Crm
from rig.daemon import Daemon
from rig.ledger import balance
from rig.mes import TOKEN, Mes
from rig.netns import THERE, Namespace
from rig.plc import CountingPlc
from rig.run import Run, until


class Plant:
    """`config` may be changed before `start`; what is stopped and started by hand in a row is stopped here at the end.

    state    the state folder, for example on a disk of its own
    network  of the daemon; only the CRM stands behind its wire, at THERE
    pause    of the MES's senders
    every    of the PLC: so many reads in alarm, so many calm
    """

    def __init__(
        self,
        run: Run,
        *,
        state: Path | None = None,
        network: Namespace | None = None,
        senders: int = 4,
        pause: float = 0.02,
        every: int = 10,
        tls: bool = True,
    ) -> None:
        self.run, self.state = run, state or run.folder / "state"
        port = free_port()
        self.crm, self.plc, self.mes = Crm(run.folder, tls=tls), CountingPlc(every), Mes(port, senders=senders, pause=pause)
        self.daemon = Daemon(run.folder, {}, state=self.state, port=port)
        self.network = network
        if network is not None:
            self.crm.host, self.daemon.prefix = THERE, network.prefix

    @property
    def config(self) -> dict[str, Any]:
        return self.daemon.config

    async def __aenter__(self) -> Self:
        await self.crm.start()
        await self.plc.start()
        if self.network is not None:
            await self.network.let_in(self.daemon.port)
            await self.network.let_out(self.plc.port)
        secret = self.run.folder / "secrets" / "mes_token"
        secret.parent.mkdir(exist_ok=True)
        secret.write_text(TOKEN)
        secret.chmod(0o600)
        self.daemon.config = self._config()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.mes.close()
        await self.daemon.close()
        await self.plc.stop()
        await self.crm.stop()
        self._note_peaks()

    def _config(self) -> dict[str, Any]:
        return {
            "version": 1,
            "site": {"enterprise": "acme", "site": "test", "gateway": "faults"},
            "machines": {
                "mes": {"source": {"http": "ingest", "token": {"secret": "mes_token"}}, "records": {"order_step": {}}},
                "press": {
                    "path": "hall/line/cell",
                    "source": {"modbus": f"tcp://{self.plc.address}", "poll_seconds": 0.05},
                    "tags": {"counter": {"at": 40001, "as": "uint32"}, "swing": {"at": 40003}},
                },
            },
            "watch": [
                {"order": {"on": "mes/order_step"}},
                {"limit": {"on": "press/swing", "high": 70, "hold": "0s", "clear_after": "0s"}},
            ],
            "incidents": {"evidence": {"before": "1s", "after": "0s", "max_kilobytes": 1}},
            "deliver": {
                "crm": {
                    "https": self.crm.url,
                    **({"ca": str(self.crm.ca)} if self.crm.tls else {}),
                    "mode": "batch",
                    "timeout": "2s",
                    "batch": 50,
                    "retry": {"first": "100ms", "longest": "2s"},
                },
                "buffer": {"max_megabytes": 512, "min_free_megabytes": 0},
            },
            "gateway": {"state_dir": str(self.state), "page": {"port": self.daemon.port}},
        }

    async def start(self) -> None:
        """The daemon, and then the MES."""
        self.run.note(ready_seconds=round(await self.daemon.start(), 2))
        self.mes.start()

    def maybe_away(self) -> None:
        """In half of all rounds the CRM takes nothing, so that what is acknowledged is on the gateway's disk and nowhere else."""
        self.crm.before = answers.status(503) if self.run.dice.random() < 0.5 else None

    async def flow(self, orders: int, seconds: float = 60.0) -> None:
        """Returns when so many more orders were answered 202."""
        wanted = len(self.mes.taken) + orders
        await until(lambda: len(self.mes.taken) >= wanted, seconds, f"{orders} orders taken")

    async def keep_running(self) -> bool:
        """As systemd would: started again when it has ended by itself. Whether it had."""
        if self.daemon.alive:
            return False
        self.run.note(restarts=self.run.result.facts.get("restarts", 0) + 1, exit_code=await self.daemon.ended())
        await self.daemon.start()
        return True

    async def arrived(self, events: int, seconds: float = 60.0) -> None:
        """Returns when so many more events came to the CRM."""
        wanted = len(self.crm.log) + events
        await until(lambda: len(self.crm.log) >= wanted, seconds, f"{events} events at the CRM")

    async def recovered(self, within: float, *, since: float | None = None) -> float:
        """From `since` (monotonic; now) until an order that was taken after now is at the CRM."""
        now = time.monotonic()
        known = len(self.mes.taken)
        await until(lambda: self._new_at_crm(known), max(60.0, 2 * within), "an order taken and delivered")
        took = time.monotonic() - (now if since is None else since)
        self.run.recovered(took, within)
        return took

    def _new_at_crm(self, known: int) -> bool:
        fresh = list(self.mes.taken)[known:]
        return any(order in self.crm.keys for order in fresh)

    async def settle(self, seconds: float = 60.0, *, drains: bool = True, ordered: bool = True) -> None:
        """Ends everything in good order, and compares. `drains`: nothing may wait any more."""
        await self.finish(seconds, drains=drains)
        await self.weigh(drained=drains, ordered=ordered)

    async def finish(self, seconds: float = 60.0, *, drains: bool = True) -> None:
        """Ends everything in good order."""
        await self.mes.finish(seconds)
        self.plc.every = 0
        await self._drained(seconds, drains)
        await self._weigh_readings()
        code, took = await self.daemon.stop()
        self.run.check(code == 0, f"stopped with exit code {code}")
        self.run.check(took <= 10, f"took {took:.1f} s to stop (must: 10)")

    async def _drained(self, seconds: float, drains: bool) -> None:
        open_incidents = "SELECT 1 FROM incident WHERE state='open' AND machine='press' LIMIT 1"
        try:
            await until(
                lambda: not outbox.ask(self.state, open_incidents) and (not drains or not outbox.waiting(self.state)),
                seconds,
                "the outbox empty and the PLC's incident closed",
            )
        except AssertionError as exc:
            self.run.check(False, str(exc))

    async def _weigh_readings(self) -> None:
        """readings received = processed + dropped + queued, of the process that runs now."""
        found = await self.daemon.metrics()
        received, queued = found.get("readings_received", 0), found.get("pipeline_queue", 0)
        dropped = found.get("readings_dropped{reason=queue_full,source=press}", 0)
        self.run.check(
            received == found.get("readings", 0) + dropped + queued,
            f"readings: {received:g} received, {found.get('readings', 0):g} processed, {dropped:g} dropped, {queued:g} queued",
        )

    async def weigh(self, *, drained: bool = True, ordered: bool = True) -> None:
        """What was taken and stored against what is at the CRM, when the daemon has ended. `ordered` False: what is new may go first."""
        books, told = await outbox.books(self.state), await outbox.ledger(self.state)
        found = balance(self.mes.taken, self.crm.log, stored=books.stored, kept=books.kept, admitted=books.given_up)
        result, run = self.run.result, self.run
        result.read, result.taken = found.taken + 2 * self.plc.served, found.taken
        result.stored, result.delivered = found.stored, found.delivered
        result.doubled, result.repeats, result.backward = found.doubled, found.repeats, found.backward
        # Of a file that could not be read at all nobody can say how much was in it, but that something was.
        unknown = told["lost"].get("events", {}).get("unknown", 0)
        result.lost, result.silently = found.lost, 0 if unknown else found.silently
        run.note(books=books.counts, losses_of_unknown_size=unknown)
        run.check(not result.silently, f"{found.silently} lost silently, for example {', '.join(found.examples) or 'events'}")
        run.check(not found.doubled, f"{found.doubled} happenings at the CRM under two ids")
        run.check(not ordered or not found.backward, f"{found.backward} events overtook an earlier one of their machine")
        run.check(not self.crm.changed, f"{len(self.crm.changed)} events were changed on the way")
        run.check(books.balanced, f"lineside outbox stats does not balance: {books.counts}")
        run.check(
            found.delivered + found.repeats >= books.delivered,
            f"{books.delivered} delivered by the gateway's books, {found.delivered} at the CRM and {found.repeats} repeats",
        )
        if drained:
            run.check(not books.counts.get("ready"), f"{books.counts.get('ready')} events still wait")

    def _note_peaks(self) -> None:
        result, peaks = self.run.result, self.daemon.peaks
        result.rss_mb, result.disk_mb = max(result.rss_mb, round(peaks.rss_mb, 1)), max(result.disk_mb, round(peaks.disk_mb, 1))
        result.fds, result.threads = max(result.fds, peaks.fds), max(result.threads, peaks.threads)
        result.hung += self.daemon.hung
