"""A gateway's folders with a real outbox in them, and the command as a user types it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.contract import Event, Severity
from gateway.outbox.append import Addressed
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock

CONFIG = """\
version: 1
site: {{enterprise: acme, site: dresden, gateway: press-01}}
machines:
  press-07:
    source: {{modbus: "tcp://127.0.0.1:9"}}
    tags: {{file: tags.csv}}
watch:
  - limit: {{on: press-07/oil_temperature, high: 70}}
deliver:
  crm: {{https: "http://127.0.0.1:9/", token: {{secret: crm_token}}}}
gateway: {{page: off, state_dir: "{state}"}}
"""
CANARY = "canary-4711-secret"


class Gateway:
    """The folders of one gateway that is not running."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config, self.state = folder, folder / "etc", folder / "state"
        self.file = self.config / "lineside.yaml"

    @contextmanager
    def page(self, answer: Callable[[str], tuple[int, str]], *, host: str = "127.0.0.1") -> Iterator[None]:
        """One that answers a path with a status and a body, at the address the configuration names from now on."""

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.file.write_text(self.file.read_text().replace("page: off", f"page: {{host: {host}, port: {server.server_port}}}"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def make(self) -> Gateway:
        (self.config / "secrets").mkdir(parents=True)
        self.file.write_text(CONFIG.format(state=self.state))
        (self.config / "tags.csv").write_text("tag,at,as\noil_temperature,40011,float32\n")
        self.put(self.config / "secrets" / "crm_token", CANARY.encode())
        self.put(self.state / "detectors" / "limit-1.state", b"learnt")
        self.put(self.state / "sources" / "press-07" / "map.json", b"{}")
        self.put(self.state / "accounts.json", b'{"anna": "$scrypt$hash"}')
        self.put(self.state / "pki" / "trusted" / "plc.der", b"certificate")
        self.put(self.state / "pki" / "own" / "own.der", b"certificate")
        self.put(self.state / "pki" / "own" / "own.key.pem", f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n".encode())
        self.put(self.state / "blocks" / "press-07.x.1.npz", b"large")
        self.append("inc-a-0001", "inc-a-0002")
        return self

    @staticmethod
    def put(path: Path, content: bytes, mode: int = 0o600) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    def append(self, *ids: str) -> None:
        async def add() -> None:
            outbox = Outbox(self.state, FakeClock())
            outbox.open()
            await outbox.append([], [Addressed(event(identity), ("crm",)) for identity in ids])
            await outbox.close()

        asyncio.run(add())


def event(identity: str) -> Event:
    return Event(
        id=identity,
        type="io.lineside.limit.raised.v1",
        source="urn:lineside:acme:dresden:press-01",
        subject="_/_/_/press-07",
        time_ns=1,
        recorded_ns=2,
        severity=Severity.ERROR,
        partitionkey="press-07",
        dataschema="https://lineside.example/contracts/x/1.0.json",
        data=b'{"title": "canary-of-an-event"}',
        correlationid="inc-a",
    )


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path / "one").make()


@pytest.fixture
def lineside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **more: CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="lineside", **more)


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    Gateway.put(file, b"correct horse battery staple")
    return file
