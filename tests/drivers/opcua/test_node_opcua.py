"""Against a server we did not write: node-opcua. `make conformance` runs them; they need `npm ci` in ``node/``."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
import pytest_asyncio

from drivers.opcua import plugin
from drivers.opcua.config import Security
from gateway.contract import GOOD, UNCERTAIN, Found, NotConnected, Quality, Record, Source, Trouble, Waveform
from gateway.testkit.checks import source_checks
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.ports import free_port

HERE = Path(__file__).parent / "node"
ENCRYPTED = "Aes256_Sha256_RsaPss/SignAndEncrypt"
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not os.environ.get("LINESIDE_CONFORMANCE"), reason="make conformance runs it"),
]


class NodeServer:
    """`stop` kills it; `start` brings it back at the same address, with the same certificate."""

    def __init__(self, pki: Path, **options: Any) -> None:
        self.port = free_port()
        self._options = {"port": self.port, "pki": str(pki), "accepts": True} | options
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/peer"

    @staticmethod
    def node(name: str) -> str:
        return f"nsu=http://lineside.example/cnc;s={name}"

    async def start(self, **changes: Any) -> None:
        self._options |= changes
        pipe = asyncio.subprocess.PIPE
        arguments = (shutil.which("node") or "node", str(HERE / "server.js"), json.dumps(self._options))
        self._process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
        async with asyncio.timeout(40):
            while await self._line() != "ready":
                pass

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()

    async def tell(self, do: str, **arguments: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        async with asyncio.timeout(20):
            while not (line := await self._line()).startswith("{"):
                pass
        return json.loads(line)["answer"]

    def freeze(self, *, on: bool) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "node-opcua ended"
        return line.decode().strip()

    async def __aenter__(self) -> NodeServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate for all servers: making it takes seconds."""
    return tmp_path_factory.mktemp("node") / "pki"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def peer(pki: Path) -> AsyncIterator[NodeServer]:
    async with NodeServer(pki) as running:
        yield running


class Rig:
    """The battery's: encrypted, with a user. `stimulate` counts a part."""

    can_be_dead = True
    exempt: ClassVar[dict[str, str]] = {}
    names: ClassVar[tuple[str, ...]] = ("load", "speed", "parts", "running", "program")
    tags = len(names)

    def __init__(self, pki: Path, state: Path) -> None:
        self._server, self._state, self._dead, self._parts = NodeServer(pki), state, free_port(), 0

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def source(self) -> Source:
        return self._build(self._server.url)

    def dead_source(self) -> Source:
        return self._build(f"opc.tcp://127.0.0.1:{self._dead}")

    async def stimulate(self) -> None:
        self._parts += 1
        await self._server.tell("set", name="parts", value=self._parts)

    def _build(self, url: str) -> Source:
        entry = {"security": ENCRYPTED, "trust": "first_use", "user": "edge", "password": {"secret": "password"}}
        options = plugin.options.model_validate({"opcua": url, "publishing": "50ms", "sampling": "20ms", **entry})
        tags = {name: {"node": NodeServer.node(name)} for name in self.names}
        return plugin.build(options, source_context(plugin, tags, secrets={"password": "s3cret"}, state_dir=self._state))


@pytest.mark.parametrize("check", source_checks.CHECKS, ids=lambda check: check.__name__)
async def test_the_battery(check: Callable[[Any], Any], pki: Path, tmp_path: Path) -> None:
    rig = Rig(pki, tmp_path)
    try:
        await check(rig)
    finally:
        await rig.stop()


@pytest.mark.parametrize("security", get_args(Security))
@pytest.mark.parametrize("user", [None, "edge"])
async def test_every_way_in(peer: NodeServer, probe: Any, security: str, user: str | None) -> None:
    who: dict[str, Any] = {"user": user, "password": {"secret": "good"}} if user else {}
    async with probe(peer.url, {"speed": peer.node("speed")}, security=security, **who) as reader:
        assert (await reader.each(1)).value.tolist() == [1500.0]


async def test_a_certificate_of_a_user_comes_in(peer: NodeServer, probe: Any, tmp_path: Path) -> None:
    from drivers.opcua.certificate import own_certificate

    own = own_certificate(tmp_path / "user", "urn:somebody:operator")
    (tmp_path / "user.pem").write_bytes(own.key)
    entry = {"certificate": own.file, "key": tmp_path / "user.pem", "security": ENCRYPTED}
    async with probe(peer.url, {"speed": peer.node("speed")}, **entry) as reader:
        assert (await reader.each(1)).value.tolist() == [1500.0]


async def test_a_server_that_does_not_know_us_names_what_to_do(pki: Path, probe: Any, tmp_path: Path) -> None:
    async with NodeServer(tmp_path / "strict", accepts=False) as strict:
        source = probe(strict.url, {"speed": strict.node("speed")}, security=ENCRYPTED).source
        with pytest.raises(NotConnected, match="move it from its PKI folder rejected to trusted/certs"):
            await source.connect()
        await source.close()


async def test_a_server_we_do_not_know_waits_for_a_decision(peer: NodeServer, probe: Any, tmp_path: Path) -> None:
    source = probe(peer.url, {"speed": peer.node("speed")}, security=ENCRYPTED, trust="list").source
    with pytest.raises(NotConnected, match=r"lineside trust accept [0-9a-f]{8}$") as caught:
        await source.connect()
    await source.close()
    (waiting,) = (tmp_path / "pki/rejected").glob("*.der")
    assert waiting.stem.startswith(str(caught.value)[-8:])
    (tmp_path / "pki/trusted").mkdir()
    waiting.rename(tmp_path / "pki/trusted" / waiting.name)
    await source.connect()
    await source.close()


async def test_bad_and_uncertain_values_keep_their_quality(peer: NodeServer, probe: Any) -> None:
    async with probe(peer.url, {"doubtful": peer.node("doubtful")}) as reader:
        await reader.each(1)
        await peer.tell("set", name="doubtful", value=2.5, status="UncertainLastUsableValue")
        uncertain = await reader.until(lambda b: (b.quality == UNCERTAIN).any())
        await peer.tell("set", name="doubtful", value=3.5, status="BadSensorFailure")
        bad = await reader.until(lambda b: (b.quality >= Quality.BAD).any())
    assert uncertain.value[-1] == 2.5
    assert np.isnan(bad.value[-1])


async def test_limits_and_revised_parameters_are_honoured(pki: Path, probe: Any) -> None:
    limits = {"maxMonitoredItemsPerCall": 7, "maxNodesPerRead": 3, "maxNodesPerTranslateBrowsePathsToNodeIds": 4, "maxNodesPerBrowse": 2}
    async with NodeServer(pki, limits=limits, slow=True, many=60) as strict:
        tags = {f"v{i}": {"path": f"nsu=http://lineside.example/cnc;Machine/nsu=http://lineside.example/cnc;v{i}"} for i in range(60)}
        async with probe(strict.url, tags) as reader:
            assert (await reader.each(60)).value.tolist() == [float(i) for i in range(60)]


async def test_half_of_the_nodes_refused_is_half_of_them_read(pki: Path, probe: Any) -> None:
    told: list[Any] = []
    async with NodeServer(pki, many=20) as strict:
        tags = {f"v{i}": strict.node(f"v{i}" if i % 2 else f"gone{i}") for i in range(20)}
        async with probe(strict.url, tags, told=told) as reader:
            batch = await reader.each(20)
        assert (batch.quality[1::2] == GOOD).all()
        assert (batch.quality[::2] == Quality.BAD_DEVICE).all()
        degraded = [health for health in told if health.trouble is Trouble.DEGRADED][-1]
        assert degraded.why == "10 of 20 nodes are refused: BadNodeIdUnknown"
        assert await strict.tell("written") == 0


async def test_namespaces_that_move_with_a_restart_are_found_again(pki: Path, probe: Any) -> None:
    async with NodeServer(pki) as moving:
        tags = {"node": {"node": moving.node("speed")}, "path": {"path": "Machine/speed"}}
        reader = probe(moving.url, tags)
        for shift in (3, 0, 7):
            await moving.stop()
            await moving.start(shift=shift)
            async with reader:
                assert (await reader.each(2)).value.tolist() == [1500.0, 1500.0]


async def test_a_dropped_session_and_a_frozen_server_are_not_connected(pki: Path, probe: Any) -> None:
    async with NodeServer(pki) as failing:
        reader = probe(failing.url, {"speed": failing.node("speed")}, timeout="1s")
        async with reader:
            await reader.each(1)
            await failing.tell("drop")
            with pytest.raises(NotConnected):
                await reader.until(lambda b: False, seconds=20)
        async with reader:
            await reader.each(1)
            failing.freeze(on=True)
            with pytest.raises(NotConnected, match="no sign of life"):
                await reader.until(lambda b: False, seconds=20)
        failing.freeze(on=False)
        async with reader:
            await reader.each(1)


async def test_blocks_of_samples(peer: NodeServer, probe: Any) -> None:
    tag = {"node": peer.node("wave"), "kind": "waveform", "rate_hz": 8000, "length": 8}
    async with probe(peer.url, {"wave": tag}) as reader:
        await peer.tell("set", name="wave", value=[float(i + 1) for i in range(8)])
        async with asyncio.timeout(5):
            while True:
                items = await reader.source.read()
                found = [i for i in (items if isinstance(items, list) else [items]) if isinstance(i, Waveform) and i.samples.any()]
                if found:
                    break
    assert found[0].samples.tolist() == [float(i + 1) for i in range(8)]


async def test_alarms_come_acknowledged_by_reading_and_again_after_a_connect(peer: NodeServer, probe: Any) -> None:
    records = {"alarms": {"types": ["i=2915"], "severity": 1}}  # AlarmConditionType and what is below it
    reader = probe(peer.url, {"pressure": peer.node("pressure")}, records=records)

    async def until(text: str) -> Record:
        async with asyncio.timeout(10):
            while True:
                items = await reader.source.read()
                for item in items if isinstance(items, list) else [items]:
                    if isinstance(item, Record) and item.fields["active"] and text in item.fields["message"]:
                        return item

    async with reader:
        await reader.source.read()
        await peer.tell("set", name="pressure", value=70)
        raised = await until("70.000")
        await peer.tell("set", name="pressure", value=5)
    await peer.tell("set", name="pressure", value=120)  # while nobody listens
    async with reader:
        refreshed = await until("120.000")
        await peer.tell("set", name="pressure", value=5)
    assert (raised.source, raised.fields["source_node"]) == ("m1/alarms", "ns=2;s=pressure")
    assert raised.fields["severity"] >= 1
    assert refreshed.fields["event_id"] != raised.fields["event_id"]


async def test_what_was_missed_comes_from_its_history(peer: NodeServer, probe: Any) -> None:
    reader = probe(peer.url, {"history": peer.node("history")}, backfill="1h")
    async with reader:
        await peer.tell("set", name="history", value=1)
        await reader.until(lambda b: 1.0 in b.value)
    for value in range(2, 1500):
        await peer.tell("set", name="history", value=value)
    async with reader:
        batch = await reader.until(lambda b: 1498.0 in b.value)
    old = batch.value[batch.quality == Quality.BACKFILLED]
    assert old.tolist()[0] >= 2.0
    assert len(set(old.tolist())) == len(old)
    assert len(old) >= 1400  # values of one millisecond are one in its history: only what has a time of its own can be told apart


@pytest.mark.parametrize("at_once", [1000, 3])
async def test_what_it_has_is_rows_of_a_tags_file(peer: NodeServer, tmp_path: Path, monkeypatch: Any, at_once: int) -> None:
    monkeypatch.setattr("drivers.opcua.ask.REFERENCES_AT_ONCE", at_once)  # the rest is behind continuation points
    assert plugin.browse is not None
    context = source_context(plugin, {}, state_dir=tmp_path)
    options = plugin.options.model_validate({"opcua": peer.url})
    found: dict[str, Found] = {each.name: each async for each in plugin.browse(options, context, "Objects/Machine/*")}
    assert {"load", "speed", "parts", "running", "program", "wave"} <= set(found)
    assert found["load"].options["node"] == peer.node("load")
    assert (found["load"].options["range"], found["load"].options["unit"]) == ("0..200", "%")
    assert found["running"].options["kind"] == "state"
    assert found["wave"].note.startswith("float[]")


async def test_it_was_never_written_to(peer: NodeServer) -> None:
    assert await peer.tell("written") == 0
