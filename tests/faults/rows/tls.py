"""Rows of certificates and encryption on the way to the CRM."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from rig.crm import NAMES
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row
from rig.terminator import Terminator
from rows.uplink import reloaded, why

DAY = timedelta(days=1)


def expired(plant: Plant) -> ssl.SSLContext:
    return plant.crm.certificate(*NAMES, not_before=datetime.now(UTC) - 3 * DAY, not_after=datetime.now(UTC) - DAY)


def not_yet(plant: Plant) -> ssl.SSLContext:
    return plant.crm.certificate(*NAMES, not_before=datetime.now(UTC) + DAY, not_after=datetime.now(UTC) + 3 * DAY)


def another_host(plant: Plant) -> ssl.SSLContext:
    return plant.crm.certificate("crm.another.example")


def another_authority(plant: Plant) -> ssl.SSLContext:
    return plant.crm.certificate(*NAMES, authority=trustme.CA())


# Words of the reason on the page, any of them.
BAD = {
    expired: ("expired", "ended"),
    not_yet: ("not yet valid",),
    another_host: ("hostname", "not valid for", "mismatch"),
    another_authority: ("issuer", "self-signed", "self signed", "unknown ca"),
}


@row(
    25,
    "certificate expired, not yet valid, of another host, of another authority; TLS 1.0; no TLS at all",
    expected="refused, nothing sent and nothing in plain; the page says why; delivering within 15 s after it is mended; lost 0",
)
async def refused(run: Run) -> None:
    async with Plant(run) as plant:
        good = plant.crm.tls
        await plant.start()
        for bad, words in BAD.items():
            await plant.arrived(5)
            plant.crm.tls = bad(plant)
            await offered(run, plant, bad.__name__, words)
            plant.crm.tls = good
            await mended(plant)
        await old_version(run, plant)
        await mended(plant)
        await plain(run, plant)
        await mended(plant)
        await plant.settle()


async def offered(run: Run, plant: Plant, name: str, words: tuple[str, ...]) -> None:
    """Reconnecting, the daemon meets it; what it says is told."""
    await plant.crm.stop()
    came = len(plant.crm.requests)
    await plant.crm.start()
    said = await told(plant, words)
    run.check(said, f"{name}: the page says {await why(plant)!r} (must: one of {', '.join(words)})")
    run.check(len(plant.crm.requests) == came, f"{name}: {len(plant.crm.requests) - came} requests came all the same")


async def told(plant: Plant, words: tuple[str, ...]) -> bool:
    for _ in range(60):
        found = (await why(plant)).lower()
        if any(word in found for word in words):
            return True
        await asyncio.sleep(0.1)
    return False


async def mended(plant: Plant) -> None:
    await plant.crm.stop()
    await plant.crm.start()
    await plant.recovered(15)


async def old_version(run: Run, plant: Plant) -> None:
    context = plant.crm.certificate(*NAMES)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():  # that it is old is what it is for
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    await plant.arrived(5)
    await plant.crm.stop()
    with Terminator(context, 0, port=plant.crm.port) as wire:
        said = await told(plant, ("protocol", "version"))
    run.check(said, f"TLS 1.0: the page says {await why(plant)!r} (must: protocol or version)")
    run.check(not wire.opened, f"TLS 1.0: {wire.opened} requests came all the same")


async def plain(run: Run, plant: Plant) -> None:
    """Where the CRM was, somebody listens without TLS, and hears nothing but the beginning of a handshake."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        heard.append(await reader.read(65536))
        writer.close()

    await plant.crm.stop()
    server = await asyncio.start_server(listen, "127.0.0.1", plant.crm.port)
    await until(lambda: len(heard) >= 3, 30, "the daemon asking there")
    server.close()
    words = b"".join(heard)
    run.check(heard[0][:1] == b"\x16", f"it began with {heard[0][:20]!r}, no handshake")
    run.check(b"HTTP" not in words and b"order" not in words, f"it said in plain: {words[:80]!r}")


class Client:
    """What the daemon shows, renewed on its disk."""

    def __init__(self, plant: Plant, port: int) -> None:
        self._plant, self._folder = plant, plant.run.folder
        self.authority = trustme.CA()
        plant.config["deliver"]["crm"] |= {
            "https": f"https://localhost:{port}/events",
            "tls": {
                "ca": str(plant.crm.ca),
                "client_cert": str(self._folder / "client.pem"),
                "client_key": {"secret": "client_key"},
            },
        }

    def renew(self, name: str, authority: trustme.CA) -> ssl.SSLContext:
        """As certbot does: new files, renamed over the old ones. Returns a server's context that takes only what this authority signs."""
        made = authority.issue_cert(common_name=name, organization_unit_name=name)
        self._put(self._folder / "client.pem", b"".join(blob.bytes() for blob in made.cert_chain_pems))
        self._put(self._folder / "secrets" / "client_key", made.private_key_pem.bytes())
        context = self._plant.crm.certificate(*NAMES)
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        return context

    def _put(self, path: Path, content: bytes) -> None:
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        beside.chmod(0o600)
        beside.rename(path)


@row(
    26,
    "our certificate renewed on disk, and the old one refused",
    expected="the new one is shown at the next connection, without a restart or reload; delivering within 15 s; lost 0",
    night=20,
)
async def renewed(run: Run) -> None:
    async with Plant(run, tls=False) as plant:
        with Terminator(plant.crm.certificate(*NAMES), plant.crm.port) as wire:
            client = Client(plant, wire.port)
            wire.context = client.renew("number 0", trustme.CA())
            await plant.start()
            for number in range(1, run.count + 1):
                await plant.arrived(10)
                wire.context = client.renew(f"number {number}", trustme.CA())
                wire.cut()
                await plant.recovered(15)
                run.check(wire.shown[-1:] == [f"number {number}"], f"the receiver was shown {wire.shown}")
            await plant.settle()


@row(
    "26b",
    "our certificate renewed on disk, and a reload",
    expected="the new one is shown within 10 s; lost 0",
)
async def renewed_and_reloaded(run: Run) -> None:
    async with Plant(run, tls=False) as plant:
        with Terminator(plant.crm.certificate(*NAMES), plant.crm.port) as wire:
            client, authority = Client(plant, wire.port), trustme.CA()
            wire.context = client.renew("old", authority)
            await plant.start()
            await plant.arrived(10)
            client.renew("new", authority)
            await reloaded(plant)
            try:
                await until(lambda: wire.shown[-1:] == ["new"], 10)
            except AssertionError:
                run.check(False, f"10 s after a reload the receiver was shown {wire.shown}, not what is on disk")
            await plant.settle()


@row(
    "26c",
    "our certificate renewed on disk, and the old one refused by hanging up without a word",
    expected="the new one is shown without a restart or reload; delivering within 30 s; lost 0",
)
async def hung_up(run: Run) -> None:
    """A server on asyncio does so, and some load balancers: TLS 1.3's alert comes after the handshake, or not at all."""
    async with Plant(run) as plant:
        plant.config["deliver"]["crm"].pop("ca")
        client = Client(plant, plant.crm.port)
        for name in ("old", "new"):
            plant.crm.tls = client.renew(name, trustme.CA())
            await plant.crm.stop()
            await plant.crm.start()
            if name == "old":
                await plant.start()
            await plant.recovered(30)
        await plant.settle()
