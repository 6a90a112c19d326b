"""Rows of secrets: none leaves the gateway but on the way it is meant for."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from aiohttp import web

from gateway.testkit.servers.mqtt import Mosquitto
from gateway.testkit.servers.opcua import OpcuaServer
from rig.daemon import command, lineside
from rig.mes import TOKEN
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row
from rows.uplink import losses

CANARIES = {name: f"canary-{name.replace('_', '-')}-7d1f+/=&" for name in ("crm_token", "broker", "server", "posted", "typed", "url")}
PATHS = (
    "/",
    "/metrics",
    "/healthz",
    "/api/status",
    "/api/machines",
    "/api/incidents",
    "/api/history?machine=press",
    "/api/spectra",
    "/nothing",
)


def forms(secret: str) -> Iterator[bytes]:
    """As it is, and as it stands in forms, JSON, Basic and hexadecimal."""
    raw = secret.encode()
    yield raw
    yield quote_plus(secret).encode()
    yield json.dumps(secret)[1:-1].encode()
    for user in (b"", b":", b"edge:"):
        yield base64.b64encode(user + raw).rstrip(b"=")
    yield raw.hex().encode()


NEEDLES = {form: name for name, secret in {**CANARIES, "mes_token": TOKEN}.items() for form in forms(secret)}


def found_in(content: bytes) -> set[str]:
    """Names of the secrets that stand in it."""
    return {name for form, name in NEEDLES.items() if form in content}


async def echo(request: web.Request, _documents: list[dict[str, Any]]) -> web.StreamResponse:
    """A receiver that repeats what it was told, and refuses it."""
    said = request.headers.get("Authorization", "")
    return web.json_response({"error": f"no such token: {said}", "headers": dict(request.headers)}, status=400)


@row(
    40,
    "secrets in everything that goes wrong: refused logins, echoed headers, broken files, wrong tokens",
    expected="none in the log, metrics, page, state folder, commands, support bundle, process list; lost 0",
    limit=240,
)
async def canaries(run: Run) -> None:
    broker, server = Mosquitto(password="another"), OpcuaServer({"load": 1.0}, anonymous=False)
    async with broker, server, Plant(run) as plant:
        _configure(run, plant, broker, server)
        await plant.start()
        await plant.arrived(5)
        plant.crm.before = echo
        await until(lambda: losses(plant) or plant.daemon.lines("parked"), 30, "the echo refused")
        await _wrong(run, plant)
        pages = await _pages(plant)
        plant.crm.before = None
        _look(run, "the command line", Path(f"/proc/{plant.daemon.pid}/cmdline").read_bytes())
        _look(run, "the environment", Path(f"/proc/{plant.daemon.pid}/environ").read_bytes())
        for path, content in pages.items():
            _look(run, path, content)
        await _commands(run, plant)
        await plant.recovered(30)
        await plant.flow(120)
        await plant.settle()
        _look(run, "the log", plant.daemon.log.read_bytes())
        for file in [each for each in plant.state.rglob("*") if each.is_file()]:
            _look(run, f"the state folder: {file.relative_to(plant.state)}", file.read_bytes())


def _configure(run: Run, plant: Plant, broker: Mosquitto, server: OpcuaServer) -> None:
    for name, secret in CANARIES.items():
        file = run.folder / "secrets" / name
        file.write_text(secret)
        file.chmod(0o600)
    plant.config["machines"] |= {
        "oven": {
            "source": {"mqtt": broker.url, "user": "edge", "password": {"secret": "broker"}, "lost_after": "1h"},
            "tags": {"temperature": {"topic": "oven/temperature"}},
        },
        "cnc": {
            "source": {
                "opcua": server.url,
                "user": "edge",
                "password": {"secret": "server"},
                "allow_plain_password": True,
                "lost_after": "1h",
            },
            "tags": {"load": {"node": server.node("load")}},
        },
    }
    plant.config["deliver"]["crm"]["token"] = {"secret": "crm_token"}
    plant.config["deliver"]["crm"]["retry"]["longest_hold"] = "3s"  # a receiver that refuses everything is held


async def _wrong(run: Run, plant: Plant) -> None:
    """Wrong tokens, logins, addresses, and a secret written where its name belongs."""
    async with aiohttp.ClientSession() as http:
        await http.post(plant.mes.url, data=b"{}", headers={"Authorization": f"Bearer {CANARIES['posted']}"})
        await http.post(
            f"{plant.daemon.url}/api/login", json={"user": "anna", "password": CANARIES["typed"]}, headers={"Origin": plant.daemon.url}
        )
        await http.get(f"{plant.daemon.url}/api/status?token={quote_plus(CANARIES['typed'])}")
    good = json.dumps(plant.config)
    for wrong in (
        lambda c: c["machines"]["oven"]["source"].update(password=CANARIES["typed"]),
        lambda c: c["machines"]["oven"]["source"].update(mqtt=f"mqtt://edge:{quote_plus(CANARIES['url'])}@127.0.0.1"),
        lambda c: c["deliver"]["crm"].update(https=f"https://edge:{quote_plus(CANARIES['url'])}@localhost/events"),
        lambda c: c["deliver"]["crm"].update(token=CANARIES["typed"]),
        lambda c: c["deliver"]["crm"].update(tokken={"secret": CANARIES["typed"]}),
    ):
        known = len(plant.daemon.lines("reload refused"))
        plant.daemon.config = json.loads(good)
        wrong(plant.daemon.config)
        plant.daemon.reload()
        await until(lambda: len(plant.daemon.lines("reload refused")) > known, 30, "a reload refused")  # noqa: B023
    code, said = await command("check", str(plant.daemon.file))
    _look(run, "lineside check", said.encode())
    run.check(code == 2, f"lineside check: exit code {code}")
    plant.daemon.config = json.loads(good)
    plant.daemon.reload()


async def _pages(plant: Plant) -> dict[str, bytes]:
    found = {}
    async with aiohttp.ClientSession() as http:
        for path in PATHS:
            async with http.get(plant.daemon.url + path) as reply:
                found[path] = await reply.read() + repr(sorted(reply.headers.items())).encode()
    return found


async def _commands(run: Run, plant: Plant) -> None:
    state, file = ["--state-dir", str(plant.state)], str(plant.daemon.file)
    for words in (["dlq", "list", *state], ["outbox", "list", *state], ["doctor", file]):
        _, said = await command(*words)
        run.check("Traceback" not in said, f"lineside {' '.join(words[:2])}: {said[-300:]}")
        _look(run, f"lineside {' '.join(words[:2])}", said.encode())
    folder = run.folder / "bundle"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(*lineside(), "bundle", file, cwd=folder, stdout=-1, stderr=-2, env=os.environ)
    said_bytes, _ = await asyncio.wait_for(process.communicate(), 60)
    _look(run, "lineside bundle", said_bytes)
    made = [each for each in folder.rglob("*") if each.is_file()]
    run.check(process.returncode == 0 and made, f"no support bundle: exit code {process.returncode}: {said_bytes.decode()[-200:]}")
    for each in made:
        for name, content in _inside(each):
            _look(run, f"the support bundle: {name}", content)


def _inside(file: Path) -> Iterator[tuple[str, bytes]]:
    content = file.read_bytes()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    elif tarfile.is_tarfile(file):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive_tar:
            for member in archive_tar:
                if (inner := archive_tar.extractfile(member)) is not None:
                    yield member.name, inner.read()
    else:
        yield file.name, content


def _look(run: Run, where: str, content: bytes) -> None:
    hits = found_in(content)
    run.check(not hits, f"{where} holds {', '.join(sorted(hits))}")
    run.note(places=int(run.result.facts.get("places", 0)) + 1)
