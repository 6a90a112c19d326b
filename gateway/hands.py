"""What somebody who logged in may change of a running gateway: the web's `Hands`."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from gateway.contract import Json
from gateway.events.build import rfc3339
from gateway.outbox import shelves
from gateway.outbox.audit import audit, newest
from gateway.outbox.shelves import Shelf
from gateway.web.hands import Unable, Unwanted

if TYPE_CHECKING:
    from gateway.app import App

_LONGEST_TEXT = 500
_T = TypeVar("_T")


class AppHands:
    """Writes what the commands write, in the same words."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def shelve(self, machine: str, condition: str, lasts: str, *, why: str, critical: bool, who: str) -> Json:
        for name, text in (("machine", machine), ("condition", condition), ("why", why)):
            if not text.strip() or len(text) > _LONGEST_TEXT or not text.isprintable():
                raise Unwanted(f"{name}: write it on one line, in at most {_LONGEST_TEXT} characters")
        now_ns = self._app.clock.now_ns()
        shelf = Shelf(0, machine, condition, critical, now_ns, now_ns + int(_lasts(lasts) * 1e9), who, why)
        made = await self._able(self._app.outbox.run(lambda connection: _add(connection, shelf, now_ns)))
        if made is None:
            raise Unwanted(f"{shelves.MOST} shelves are in use, which is as many as there may be")
        return {"id": made.number, "until": made.until_ns / 1e9}

    async def unshelve(self, number: int, *, who: str) -> None:
        now_ns = self._app.clock.now_ns()

        def operation(connection: sqlite3.Connection) -> bool:
            found = next((shelf for shelf in shelves.those(connection, now_ns) if shelf.number == number), None)
            if found is not None:
                shelves.remove(connection, found, who=who, what="unshelved", now_ns=now_ns)
            return found is not None

        if not await self._able(self._app.outbox.run(operation)):
            raise Unwanted("there is no such shelf, or its time is over")

    async def audit(self, limit: int) -> Json:
        return [line._asdict() for line in await self._able(self._app.outbox.look(lambda connection: newest(connection, limit)))]

    def reload(self, *, who: str) -> None:
        self._app.ask_reload(who)

    @staticmethod
    async def _able(asked: Awaitable[_T]) -> _T:
        try:
            return await asked
        except sqlite3.OperationalError as exc:  # any other is our own mistake, and is to look like one
            raise Unable(f"the disk refuses: {exc}") from exc


def _add(connection: sqlite3.Connection, shelf: Shelf, now_ns: int) -> Shelf | None:
    """None: there are too many. The same machine and condition again changes the end."""
    here = shelves.those(connection, now_ns)
    if len(here) >= shelves.MOST:
        return None
    for old in here:
        if old.name == shelf.name:
            shelves.remove(connection, old, who=shelf.who, what="shelf replaced", now_ns=now_ns)
    made = shelves.add(connection, shelf)
    after = f"shelf {made.number} until {rfc3339(made.until_ns)[:19]}Z{', also critical' if made.critical else ''}"
    audit(connection, who=shelf.who, what=f"shelved: {shelf.why}", name=shelf.name, before="", after=after, now_ns=now_ns)
    return made


def _lasts(text: str) -> float:
    try:
        return shelves.lasting(text)
    except ValueError as exc:
        raise Unwanted(f"for: {exc}") from exc
