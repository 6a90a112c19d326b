"""Secrets by reference only: known ones are given in every way there is, errors are provoked, and nothing that leaves holds one."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import tarfile
import zipfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import trustme
from aiohttp import web
from click.testing import CliRunner

from gateway.cli import main
from gateway.testkit.servers.mqtt import Mosquitto, require_mosquitto
from gateway.testkit.servers.opcua import OpcuaServer

PASSWORD = "c4nary-of-eva-on-the-page"
CANARIES = {name: f"c4nary-{name}-9f8e7d6c" for name in ("mqtt", "opcua", "ingest", "bearer", "login", "nats", "env", "credential")}
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: gw}}
machines:
  press-07:
    source: {{modbus: "{plc}", poll_seconds: 0.05, timeout: 500ms}}
    tags: {{oil_temperature: {{at: 40011, as: float32, unit: degC}}}}
  saw:
    source: {{mqtt: "{mqtt}", user: edge, password: {{secret: mqtt}}, lost_after: 1s}}
    tags: {{load: {{topic: saw/load}}}}
  cnc:
    source: {{opcua: "{opcua}", user: edge, password: {{secret: opcua}}, allow_plain_password: true, lost_after: 1s}}
    tags: {{speed: {{node: "ns=2;s=speed"}}}}
  mes:
    source: {{http: ingest, token: {{secret: ingest}}}}
    tags: {{count: {{value: $.count}}}}
watch:
  - limit: {{on: press-07/oil_temperature, high: 70}}
deliver:
  echo: {{https: "{echo}/bearer", token: {{secret: bearer}}, timeout: 2s}}
  basic: {{https: "{echo}/basic", auth: {{kind: basic, username: edge, password: {{secret: login}}}}, timeout: 2s}}
  env: {{https: "{echo}/env", token: {{secret: env}}, timeout: 2s}}
  credential: {{https: "{echo}/credential", token: {{secret: credential}}, timeout: 2s}}
  plant: {{nats: "nats://127.0.0.1:9", stream: EVENTS, user: edge, password: {{secret: nats}}}}
gateway:
  log_level: debug
  state_dir: "{state}"
  page: {{port: {port}, tls: {{certificate: page.pem, key: {{secret: page_key}}}}}}
"""


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """A receiver that refuses, and repeats in its words what it was shown."""

    async def refuse(request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "")
        return web.json_response({"error": f"no entry for {shown}", "headers": dict(request.headers)}, status=401, reason=f"not {shown}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def store(site: Any) -> trustme.CA:
    """Each in a place a secret may have; the key of the page too."""
    authority, secrets = trustme.CA(), site.folder / "secrets"
    made = authority.issue_cert("localhost", "127.0.0.1")
    made.cert_chain_pems[0].write_to_path(str(site.folder / "page.pem"))
    secrets.mkdir()
    for name, value in {**CANARIES, "page_key": made.private_key_pem.bytes().decode()}.items():
        if name not in ("env", "credential"):
            (secrets / name).write_text(value + "\n")
            (secrets / name).chmod(0o600)
    (site.folder / "credentials").mkdir()
    (site.folder / "credentials/credential").write_text(CANARIES["credential"])
    return authority


def searched(site: Any) -> dict[str, str]:
    """What is looked for, by name: each secret as it is, in base64 and in an address, and the lines of the key."""
    found = {}
    for name, value in {**CANARIES, "password": PASSWORD}.items():
        found[name] = value
        found[f"{name} in base64"] = b64encode(value.encode()).decode()[:-4]
        found[f"{name} of basic"] = b64encode(f"edge:{value}".encode()).decode()[:-4]
        found[f"{name} quoted"] = quote(value, safe="")
    key = (site.folder / "secrets/page_key").read_text().splitlines()
    return found | {f"page key, line {number}": line for number, line in enumerate(key[1:-1])}


def contents(raw: bytes) -> Iterator[bytes]:
    """A file, and what is in it when it is an archive."""
    yield raw
    if zipfile.is_zipfile(io.BytesIO(raw)):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    else:
        try:
            kind = "r:gz" if raw.startswith(b"\x1f\x8b") else "r:"  # every other kind is tried at length, too
            with tarfile.open(fileobj=io.BytesIO(raw), mode=kind) as archive:
                yield from (file.read() for member in archive if (file := archive.extractfile(member)) is not None)
        except tarfile.TarError:
            return


def hits(site: Any, outputs: dict[str, bytes]) -> list[str]:
    wanted = searched(site)
    return [
        f"{name} in {place}"
        for place, raw in outputs.items()
        for content in contents(raw)
        for name, text in wanted.items()
        if text.encode() in content
    ]


async def answers(site: Any, port: int, authority: trustme.CA, token: str) -> dict[str, bytes]:
    """Every answer of the API, to somebody who may read all of it, and to nobody."""
    import ssl

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    url, found = f"https://127.0.0.1:{port}", {}
    paths = ["/", "/login", "/healthz", "/metrics", "/api/status", "/api/machines", "/api/spectra", "/api/incidents", "/api/audit"]
    paths += ["/api/accounts", "/api/me", "/api/notice", "/api/history?machine=press-07", "/registry", "/nothing", "/ingest/mes"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
        for headers in ({"Authorization": f"Bearer {token}"}, {}):
            for path in paths:
                async with session.get(url + path, headers=headers) as reply:
                    found[f"{path} {len(headers)}"] = str(reply.headers).encode() + await reply.read()
        wrong = {"user": "eva", "password": PASSWORD + "-wrong"}
        async with session.post(f"{url}/api/login", json=wrong, headers={"Origin": url}) as reply:
            assert reply.status == 401
            found["wrong login"] = await reply.read()
        for given in (CANARIES["ingest"] + "x", ""):
            async with session.post(f"{url}/ingest/mes", json={"count": 1}, headers={"Authorization": f"Bearer {given}"}) as reply:
                found[f"ingest {given[:1]}"] = await reply.read()
        async with session.get(url + "/api/incidents", headers={"Authorization": f"Bearer {token}"}) as reply:
            for incident in await reply.json():
                async with session.get(f"{url}/api/incidents/{incident['id']}", headers={"Authorization": f"Bearer {token}"}) as one:
                    found[incident["id"]] = await one.read()
    return found


def commands(site: Any) -> dict[str, bytes]:
    """What commands print and write, as the gateway's user."""
    state, out = str(site.state), site.folder / "out"
    out.mkdir(exist_ok=True)
    given = [
        ["check", str(site.file)],
        ["check", "--json", str(site.file)],
        ["plan", str(site.file)],
        ["user", "list", "--state-dir", state],
    ]
    given += [["token", "list", "--state-dir", state], ["audit", "list", "--state-dir", state], ["ledger", "--state-dir", state]]
    given += [["audit", "export", str(out / "audit.jsonl"), "--state-dir", state], ["outbox", "stats", "--state-dir", state]]
    given += [["outbox", "export", str(out / "outbox.jsonl"), "--state-dir", state], ["outbox", "list", "--state-dir", state]]
    given.append(["bundle", str(site.file), "--to", str(out / "bundle"), "--with-events"])
    found = {}
    for arguments in given:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code in (0, 1), (arguments, result.output)
        found[" ".join(arguments[:2])] = result.output.encode()
    return found | {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.timeout(180)
async def test_no_secret_leaves(site: Any, daemon: Any, echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.testkit.servers.ports import free_port

    require_mosquitto()
    authority, port = store(site), free_port()
    environment = {"LINESIDE_SECRET_ENV": CANARIES["env"], "CREDENTIALS_DIRECTORY": str(site.folder / "credentials")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with Mosquitto(password="another") as broker, OpcuaServer({"speed": 1.0}, anonymous=False) as server:
        text = CONFIG.format(plc=site.plc.url, mqtt=broker.url, opcua=server.url, echo=echo, state=site.state, port=port)
        site.file.write_text(text)
        site.state.mkdir()
        cli = CliRunner()
        made = cli.invoke(main, ["user", "add", "eva", "--role", "admin", "--state-dir", str(site.state)], input=PASSWORD + "\n")
        assert made.exit_code == 0, made.output
        token = cli.invoke(main, ["token", "add", "all", "--role", "admin", "--state-dir", str(site.state)]).stdout.split()[-1]
        site.oil(75.0)
        await daemon.start("run", str(site.file), "--log", "json", **environment)
        await site.until(lambda: daemon.said("ready") == 1, 30)
        await site.until(lambda: refused(site) >= {"echo", "basic", "env", "credential"}, 30)
        await site.until(lambda: lost(daemon) >= {"saw", "cnc"}, 30)
        outputs = await answers(site, port, authority, token)
        site.file.write_text(text.replace("oil_temperature, high", "oil_tmperature, high"))
        daemon.signal(signal.SIGHUP)
        await site.until(lambda: daemon.said("reload refused") >= 1)
        site.file.write_text(text)
        daemon.signal(signal.SIGTERM)
        assert await daemon.exit_code() == 0
    outputs |= commands(site) | {"log": daemon.log.read_bytes()}
    outputs |= {str(path): path.read_bytes() for path in site.state.rglob("*") if path.is_file()}
    assert len(outputs) > 40
    assert hits(site, outputs) == []
    assert hits(site, {"a canary": f"x{CANARIES['mqtt']}y".encode()}) != []
    assert token.encode() not in b"".join(outputs.values())


def refused(site: Any) -> set[str]:
    """Destinations that were refused."""
    with closing(sqlite3.connect(site.state / "outbox.db", timeout=5)) as connection:
        return {row[0] for row in connection.execute("SELECT destination FROM breaker WHERE since_ns > 0")}


def lost(daemon: Any) -> set[str]:
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return {line["source"] for line in lines if line["message"] == "lost" and "source" in line}


def test_written_into_the_file_it_is_not_shown_either(site: Any) -> None:
    """Somebody writes a password where a reference belongs."""
    broken = site.file.read_text().replace("timeout: 500ms", f"timeout: 500ms, password: {CANARIES['mqtt']}")
    broken += f"\n# {CANARIES['login']}\n"
    site.file.write_text(broken)
    for arguments in (["check", str(site.file)], ["check", "--json", str(site.file)]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert "c4nary" not in result.output
    assert os.fspath(Path(site.file)) in result.output
