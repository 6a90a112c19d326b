"""At the start, when the outbox was restored from a backup: new ids, and the event that tells of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import partial

from gateway.engine.accept import Route
from gateway.events.build import EventBuilder
from gateway.incidents import Incidents
from gateway.outbox.append import Addressed, append
from gateway.outbox.epoch import epochs, mark_told
from gateway.outbox.store import Outbox


async def begin_epoch(outbox: Outbox, incidents: Incidents, builder: EventBuilder, routes: Iterable[Route]) -> None:
    """Nothing of it for a gateway that was never restored. The event and that it was told are one transaction."""
    known = await outbox.run(epochs)
    if not known:
        return
    last = known[-1]
    incidents.make_id = partial(builder.incident_id, epoch=last.first)
    if last.told:
        return
    event = builder.of_restored(last.first, backup_ns=last.backup_ns, now_ns=last.restored_ns)
    wanted = Addressed(event, tuple(route.name for route in routes if route.takes(event)))

    def tell(connection: sqlite3.Connection) -> None:
        append(connection, [], [wanted])
        mark_told(connection)

    await outbox.insist(tell)
