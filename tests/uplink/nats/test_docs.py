"""docs/nats.md: its configurations start, a gateway delivers through them, and it explains what the code says."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest

from gateway import registry
from gateway.contract import NotConnected, OutcomeKind
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port

Make = Callable[..., Any]
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/nats.md").read_text(encoding="utf-8")
HUB, HUB_LEAFNODES, LEAF = re.findall(r"```conf\n(.*?)```", PAGE, flags=re.DOTALL)
ADMIN = {"user": "admin", "password": "change-me"}


def extra(config: str, **changed: str) -> str:
    """Without what the test's server sets itself, and with the test's ports, files and keys."""
    config = re.sub(r"^(listen|server_name|http): [^\n]*\n|^jetstream \{.*?^\}\n", "", config, flags=re.MULTILINE | re.DOTALL)
    for old, new in changed.items():
        config = config.replace({"key": "UC" + "X" * 54, "site": "dresden", "gateway": "press-01", "enterprise": "acme"}.get(old, old), new)
    return config


@pytest.fixture
def hub_config(new_key: Any, pki: Any) -> tuple[str, str]:
    """Configuration for the test's gateway (acme, test, test-gw), and its seed."""
    key = new_key("U")
    config = extra(HUB, key=key.public, site="test", gateway="test-gw")
    found = re.search(r'cert_file: "(.*?)", key_file: "(.*?)"', pki.server)
    assert found
    return config.replace("/etc/nats/hub.pem", found[1]).replace("/etc/nats/hub.key", found[2]), key.seed


def hub(config: str, pki: Any) -> NatsServer:
    login = {**ADMIN, "tls": ssl.create_default_context(cafile=pki.ca), "tls_hostname": "localhost"}
    return NatsServer(name="hub", jetstream="domain: hub, sync_interval: always", extra=config, login=login)


async def test_hub_of_the_page_takes_events_and_gives_verdicts_to_a_least_user(make: Make, pki: Any, hub_config: tuple[str, str]) -> None:
    config, seed = hub_config
    async with hub(config, pki) as server:
        await server.create_stream()
        await server.create_stream("FEEDBACK", "fb.v1.>")
        url, secrets = f"tls://localhost:{server.port}", {"nats_nkey": seed}
        options = {"ca": pki.ca, "nkey": {"secret": "nats_nkey"}, "inbox_prefix": "_INBOX_test-gw", "feedback": True}
        uplink = await make(url, secrets=secrets, **options)
        assert [outcome.kind for outcome in await uplink.send([event(1)])] == [OutcomeKind.SENT]
        plugin = registry.uplink("nats")
        given = plugin.options.model_validate({"nats": url, "stream": "EVENTS", **options})
        assert plugin.examine is not None
        steps = [step async for step in plugin.examine(given, uplink_context(secrets=secrets), None)]
        assert [step.name for step in steps if step.ok] == ["reach", "login", "stream", "permission", "feedback"]
        with pytest.raises(NotConnected, match="may not subscribe to its inbox"):
            await make(url, secrets=secrets, **(options | {"inbox_prefix": "_INBOX"}))


async def test_leaf_of_the_page_delivers_to_the_hub_of_the_page(make: Make, pki: Any, hub_config: tuple[str, str]) -> None:
    port = free_port()
    config = hub_config[0] + HUB_LEAFNODES.replace("0.0.0.0:7422", f"127.0.0.1:{port}")
    remote = extra(LEAF).replace("hub.acme.example:7422", f"127.0.0.1:{port}")
    async with hub(config, pki) as server, NatsServer(name="leaf", jetstream=None, extra=remote) as leaf:
        await server.create_stream()
        client = await nats.connect(leaf.url)
        for _ in range(200):
            try:
                await client.request("$JS.hub.API.INFO", timeout=1)
                break
            except nats.errors.Error:
                continue
        await client.close()
        uplink = await make(leaf.url, domain="hub")
        assert [outcome.kind for outcome in await uplink.send([event(1)])] == [OutcomeKind.SENT]
        assert await server.message_ids() == ["ev-00000001"]


@pytest.mark.parametrize("row", re.findall(r"^\| (`.*?) \| .* \|$", PAGE.split("## What a message means")[1], flags=re.MULTILINE))
def test_every_message_of_the_page_is_one_that_is_said(row: str) -> None:
    """In our code, or by the server or the library; then it stands in a test."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "gateway/uplink/nats").glob("*.py"))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/uplink/nats").glob("*.py") if path.name != "test_docs.py")
    for quoted in re.findall(r"`(.*?)`", row):
        words = max(re.split(r"EVENTS|SUBJECT|FEEDBACK|lineside-press-01|\.\.\.|\bN\b|\d+ s|[(:;]", quoted), key=len).strip()
        assert words in sources or words in tests, words
