"""The real mosquitto (Debian package `mosquitto`) on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.testkit import temporary
from gateway.testkit.servers.ports import free_port

if TYPE_CHECKING:
    import trustme


def executable(name: str = "mosquitto") -> str:
    """Raises FileNotFoundError with the remedy. Debian puts it where only root's PATH looks."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if not found:
        raise FileNotFoundError(f"{name} is missing; install the package: apt install mosquitto")
    return found


def require_mosquitto() -> None:
    """For tests: skips them where mosquitto is not installed; under CI (environment variable) its absence is a failure."""
    try:
        executable()
    except FileNotFoundError as exc:
        if os.environ.get("CI"):
            raise
        import pytest

        pytest.skip(str(exc))


class Mosquitto:
    """Start, stop, kill, freeze and thaw; port, sessions and retained messages stay the same over restarts.

    tls         certificates by a new authority, see `ca`, for the names of `hosts`
    authority   the one that signs, instead of a new one (trustme.CA)
    until       its certificate's end
    expired     its certificate ended yesterday
    password    user ``edge`` must come with it; None lets anyone in
    durable     subscriptions and retained messages are written at every change, so that they survive `kill` too;
                queued messages survive `stop`, and `kill` after `save`
    extra       lines for the configuration file
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        hosts: Sequence[str] = ("localhost", "127.0.0.1"),
        authority: trustme.CA | None = None,
        until: datetime | None = None,
        expired: bool = False,
        password: str | None = None,
        durable: bool = True,
        extra: str = "",
    ) -> None:
        self.port = free_port()
        self.folder = temporary.folder("mosquitto")
        self._tls, self._password, self._durable, self._extra = tls, password, durable, extra
        self._process: asyncio.subprocess.Process | None = None
        if tls:
            self._make_certificates(hosts, datetime.now(UTC) - timedelta(days=1) if expired else until, authority)

    @property
    def url(self) -> str:
        return f"mqtts://localhost:{self.port}" if self._tls else f"mqtt://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """Certificate of the authority, PEM."""
        return self.folder / "ca.pem"

    @property
    def client_certificate(self) -> Path:
        """A certificate by the same authority with its key, PEM."""
        return self.folder / "client.pem"

    @property
    def expired_certificate(self) -> Path:
        """One that ended yesterday, with its key, PEM."""
        return self.folder / "expired.pem"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Returns when it accepts connections; raises RuntimeError when it does not within 10 s."""
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(self._lines()), encoding="utf-8")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(executable(), "-c", str(config), stdout=log, stderr=log)
        for _ in range(400):
            if await self._listens():
                return
            if self._process.returncode is not None:
                break
            await asyncio.sleep(0.025)
        raise RuntimeError(f"mosquitto did not start: {(self.folder / 'mosquitto.log').read_text()[-500:]}")

    async def save(self) -> None:
        """Have it write down what its sessions wait for; it does so by itself when it stops."""
        store = self.folder / "mosquitto.db"
        assert self._process is not None, "not started"
        store.unlink(missing_ok=True)  # it writes another file and renames it, so what is there next is whole and new
        self._process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(5):
            while not store.exists():  # noqa: ASYNC110  another process writes it
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """As a power cut would."""
        await self._end(signal.SIGKILL)

    def freeze(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Mosquitto:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            if how is not signal.SIGKILL:
                process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            await process.wait()

    def _lines(self) -> list[str]:
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if self._password else 'true'}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",
        ]
        if self._durable:
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it would become a user that may not write into our folder
        if self._tls:
            lines += [f"cafile {self.ca}", f"certfile {self.folder}/server.pem", f"keyfile {self.folder}/server.key"]
        if self._password:
            lines.append(f"password_file {self._password_file()}")
        return [*lines, self._extra, ""]

    def _password_file(self) -> Path:
        path = self.folder / "passwords"
        command = [executable("mosquitto_passwd"), "-c", "-b", str(path), "edge", str(self._password)]
        subprocess.run(command, check=True, capture_output=True)
        return path

    def _make_certificates(self, hosts: Sequence[str], until: datetime | None, authority: trustme.CA | None) -> None:
        import trustme

        authority = authority or trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        server = authority.issue_cert(*hosts, not_after=until)
        server.private_key_pem.write_to_path(self.folder / "server.key")
        for n, blob in enumerate(server.cert_chain_pems):
            blob.write_to_path(self.folder / "server.pem", append=n > 0)
        authority.issue_cert("edge").private_key_and_cert_chain_pem.write_to_path(self.client_certificate)
        ended = authority.issue_cert("edge", not_after=datetime.now(UTC) - timedelta(days=1))
        ended.private_key_and_cert_chain_pem.write_to_path(self.expired_certificate)
