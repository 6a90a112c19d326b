"""The page while the gateway runs: where it listens, who may come in, and what of that goes into the audit.

It opens beyond this machine when somebody can log in there, not before: see `address`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.accounts.store import Watched
from gateway.config import Settings
from gateway.config.page import present, server_tls
from gateway.config.secrets import Secrets
from gateway.config.settings import WebSettings
from gateway.contract import Clock, ConfigError, Json
from gateway.telemetry.counts import Counts
from gateway.trail import Trail
from gateway.web import PageServer
from gateway.web.access import Access
from gateway.web.guard import is_loopback
from gateway.web.hands import Changes, Hands
from gateway.web.ingest import Ingest
from gateway.web.login import Login
from gateway.web.server import Entrance
from gateway.web.sessions import Limits, Sessions
from gateway.web.view import View

log = logging.getLogger("lineside")
LOOPBACK = "127.0.0.1"
LOOK_SECONDS = 1.0
"""How soon a changed account is noticed."""


def address(web: WebSettings, *, somebody: bool) -> str:
    """Where it listens: what is not this machine only once somebody can log in."""
    return web.host if somebody or is_loopback(web.host) else LOOPBACK


class Front:
    """Outlives reloads, and the sessions with it; the line goes on without its window.

    hands   what may be changed over it
    """

    def __init__(self, hands: Hands, trail: Trail, ingest: Ingest, counts: Counts, clock: Clock, state_dir: Path) -> None:
        self._trail, self._ingest, self._counts, self._clock = trail, ingest, counts, clock
        # Passwords and the accounts' file have a thread of their own: a hanging disk must not hold the loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="accounts")
        self._accounts = Watched(state_dir)
        self._access = Access(self._accounts, Sessions(Limits(), clock.monotonic), clock)
        self._login = Login(self._access, trail.note, counts, self._thread)
        self._changes = Changes(hands, self._access, trail.note, self._thread)
        self._web: WebSettings | None = None
        self._folder = Path()
        self._tls: ssl.SSLContext | None = None
        self._page: PageServer | None = None
        self._host = ""
        self._why = ""  # it cannot listen; told once
        self._opening = asyncio.Lock()
        self.port = 0

    async def open(self, settings: Settings, view: View) -> None:
        """As the configuration wants it now. Open already and wanted the same, it only takes files that were renewed."""
        self._view, self._folder = view, settings.path.parent
        web, before = settings.web, self._web
        self._web = web
        await self._look()
        if web is not None:
            self._access.sessions.limits = Limits(idle=web.lock_after, idle_viewer=web.lock_viewers_after, longest=web.longest_session)
            self._login.banner = web.banner
        async with self._opening:
            if self._page is not None and web == before:
                await self._renew()
            else:
                await self._listen()

    async def close(self) -> None:
        """Twice is fine."""
        page, self._page = self._page, None
        if page is not None:
            await page.stop()

    async def end(self) -> None:
        """For good."""
        await self.close()
        self._login.sum_up(now=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self) -> None:
        """Until cancelled: notices changed accounts, ends sessions."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self._login.sum_up()
            changed = await self._look()
            async with self._opening:
                if self._is_elsewhere(changed):
                    await self._listen()
            for session in self._access.sessions.sweep(self._accounts.accounts.users):
                self._trail.note("session ended", who=session.user, after=session.ended)

    def security(self) -> dict[str, Json]:
        """For the status: no names."""
        known, web = self._accounts.accounts, self._web
        return {
            "users": len(known.users),
            "tokens": len(known.tokens),
            "sessions": len(self._access.sessions),
            "accounts_problem": self._accounts.problem,
            "listens": self._host if self._page is not None else None,
            "wanted": web.host if web is not None else None,
            "tls": self._tls is not None,
            "audit": "failing" if self._trail.failing else str(self._trail.broken) if self._trail.broken else "sound",
        }

    async def _look(self) -> bool:
        changed = await asyncio.get_running_loop().run_in_executor(self._thread, self._accounts.look)
        if changed:
            known = self._accounts.accounts
            log.info("accounts", extra={"fields": {"users": len(known.users), "tokens": len(known.tokens)}})
        if changed and self._accounts.problem:
            log.error("accounts cannot be used", extra={"fields": {"why": self._accounts.problem}})
        return changed

    def _is_elsewhere(self, changed: bool) -> bool:
        """Not where it should listen. Nowhere: its address may come after us (DHCP), and who has the port may let it go."""
        web = self._web
        if web is None:
            return False
        return self._page is None or (changed and address(web, somebody=self._accounts.accounts.exist) != self._host)

    async def _listen(self) -> None:
        await self.close()
        web = self._web
        if web is None:
            return
        self._host = address(web, somebody=self._accounts.accounts.exist)
        facts = {"host": self._host, "port": web.port}
        try:
            loop = asyncio.get_running_loop()
            entrance = await loop.run_in_executor(self._thread, self._entrance, web)
            page = PageServer(self._view, self._host, web.port, self._ingest, entrance, self._counts)
            self.port = await page.start()
        except (OSError, ConfigError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            if why != self._why:
                log.error("page cannot listen", extra={"fields": facts | {"why": why}})
            self._why = why
            return
        self._page, self._why = page, ""
        scheme = "https" if web.tls is not None else "http"
        log.info("page", extra={"fields": {"url": f"{scheme}://{self._host}:{self.port}/"}})
        if self._host != web.host:
            why = "nobody could log in; make an account: lineside user add NAME --role admin"
            log.warning("page listens on this machine only", extra={"fields": {"wanted": web.host, "why": why}})

    def _entrance(self, web: WebSettings) -> Entrance:
        """Reads files. Raises ConfigError, OSError."""
        self._tls = server_tls(web.tls, Secrets(self._folder)) if web.tls is not None else None
        return Entrance(access=self._access, login=self._login, changes=self._changes, tls=self._tls, security_txt=_contact(web))

    async def _renew(self) -> None:
        """What was renewed on disk; connections that are open keep the old certificate."""
        web, page, context = self._web, self._page, self._tls
        if web is None or page is None:
            return
        loop, secret = asyncio.get_running_loop(), Secrets(self._folder)
        try:
            page.security_txt = await loop.run_in_executor(self._thread, _contact, web)
            if (tls := web.tls) is not None and context is not None:
                await loop.run_in_executor(self._thread, lambda: present(context, tls.certificate, secret(tls.key)))
        except (ConfigError, OSError) as exc:
            log.error("page keeps its certificate", extra={"fields": {"why": str(exc)}})


def _contact(web: WebSettings) -> bytes | None:
    """Raises OSError."""
    return web.security_txt.read_bytes() if web.security_txt is not None else None
