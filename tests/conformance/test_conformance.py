"""What others read of us. Each check has a case that must fail, so that a reader that accepts everything is noticed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fastjsonschema
import pytest
from click.testing import CliRunner

from gateway import registry
from gateway.cli import main
from gateway.contract import Event, OutcomeKind
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.salesforce import Salesforce

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
CONTRACTS = ROOT / "gateway" / "events" / "contracts"
SECRET = "whsec_" + "TGluZXNpZGUtY29uZm9ybWFuY2UtdGVzdA=="


async def send(name: str, options: dict[str, Any], events: list[Event], secrets: dict[str, str] | None = None) -> None:
    plugin = registry.uplink(name)
    uplink = plugin.build(plugin.options.model_validate(options), uplink_context(secrets=secrets))
    await uplink.connect()
    try:
        outcomes = await uplink.send(events)
    finally:
        await uplink.close()
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}, outcomes


def ran(*arguments: object) -> None:
    done = CliRunner().invoke(main, [str(each) for each in arguments], standalone_mode=True)
    assert done.exit_code == 0, done.output


class TestCloudEvents:
    @pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
    async def test_the_sdk_reads_what_the_uplink_posts(self, node: Any, recorder: Any, events: list[Event], mode: str) -> None:
        await send("https", {"https": recorder.url, "mode": mode}, events)
        read = await node("cloudevents.mjs", given=recorder.requests)
        assert {each["id"] for each in read} == {event.id for event in events}
        for each in read:
            event = next(event for event in events if event.id == each["id"])
            assert each["data"] == json.loads(event.data)
            # The binding percent-encodes headers; this SDK leaves decoding them to its user.
            subject = unquote(each["subject"]) if mode == "binary" else each["subject"]
            assert (subject, each["source"], each["type"]) == (event.subject, event.source, event.type)

    async def test_it_reads_not_just_anything(self, node: Any, recorder: Any, events: list[Event]) -> None:
        await send("https", {"https": recorder.url, "mode": "structured"}, events[:1])
        broken = recorder.requests[0] | {"body": recorder.requests[0]["body"].replace('"specversion"', '"spec_version"')}
        assert "error" in await node("cloudevents.mjs", given=[broken])


class TestStandardWebhooks:
    async def test_the_library_verifies_our_signature_and_refuses_a_changed_body(
        self, node: Any, recorder: Any, events: list[Event]
    ) -> None:
        options = {"https": recorder.url, "preset": "webhook", "auth": {"secrets": [{"secret": "hook"}]}}
        await send("https", options, events, {"hook": SECRET})
        tampered = recorder.requests[0] | {"body": recorder.requests[0]["body"] + " "}
        found = await node("webhook.mjs", SECRET, given=[*recorder.requests, tampered])
        assert found == [True] * len(events) + [False]


class TestNats:
    async def test_a_durable_consumer_gets_every_id_once(self, node: Any, events: list[Event]) -> None:
        async with NatsServer() as hub:
            await hub.create_stream()
            for _ in range(2):
                await _twice(hub, events)
            found = await node("jetstream.mjs", hub.url, "EVENTS", len(events))
        assert [each["msgid"] for each in found] == [event.id for event in events]
        assert [each["headers"]["ce-id"] for each in found] == [event.id for event in events]
        assert json.loads(found[0]["data"]) == json.loads(events[0].data)


async def _twice(hub: NatsServer, events: list[Event]) -> None:
    plugin = registry.uplink("nats")
    uplink = plugin.build(plugin.options.model_validate({"nats": hub.url, "stream": "EVENTS"}), uplink_context())
    await uplink.connect()
    await uplink.send(events)
    await uplink.close()


class TestSalesforce:
    async def test_jsforce_works_with_the_emulator(self, node: Any) -> None:
        async with Salesforce() as org:
            org.limits.events_most = 3
            found = await node("jsforce.mjs", org.url, org.logins.app.client_id, org.logins.app.client_secret)
        first, second = found["created"]
        assert (first["success"], first["errors"][0]["statusCode"]) == (True, "OPERATION_ENQUEUED")
        assert (second["success"], second["errors"][0]["statusCode"]) == (False, "REQUIRED_FIELD_MISSING")
        assert found["wrong"] == "INVALID_FIELD"
        assert [each["success"] for each in found["upserted"]] == [True, True]
        assert found["cases"] == 2
        assert found["used"] > 0
        assert found["refused"], "a wrong secret is refused"

    @pytest.mark.parametrize("mode", ["event", "record"])
    async def test_salesforces_own_library_converts_the_exported_folder(self, node: Any, tmp_path: Path, mode: str) -> None:
        folder = tmp_path / "sfdx"
        ran("export", "salesforce", folder, "--mode", mode)
        nonsense = folder / "force-app/main/default/nonsense"
        nonsense.mkdir()
        (nonsense / "Thing.nonsense-meta.xml").write_text("<Nonsense/>")
        found = await node("sdr.mjs", folder)
        assert "TypeInferenceError" in found["nonsense"]
        files = [path for path in (folder / "force-app").rglob("*-meta.xml") if path.parent != nonsense]
        assert found["files"] == len(files) > 20
        assert {"CustomObject", "CustomField", "Flow", "PermissionSet", "ExternalClientApplication"} <= set(found["types"])
        assert found["package"].count("<types>") == len(found["types"])


class TestAsyncApi:
    async def test_the_parser_accepts_the_document_and_not_a_broken_one(self, node: Any, tmp_path: Path) -> None:
        ran("export", "asyncapi", tmp_path / "events.json")
        document = json.loads((tmp_path / "events.json").read_text())
        broken = tmp_path / "broken.json"
        operation = next(iter(document["operations"]))
        broken.write_text(json.dumps(document | {"operations": {operation: document["operations"][operation] | {"action": "publish"}}}))
        assert await node("asyncapi.mjs", tmp_path / "events.json") == {"errors": [], "channels": len(document["channels"])}
        assert (await node("asyncapi.mjs", broken))["errors"]


class TestContracts:
    async def test_ajv_and_fastjsonschema_agree_on_every_example(self, node: Any) -> None:
        given, ours = [], []
        for file in sorted(CONTRACTS.rglob("*.schema.json")):
            schema = json.loads(file.read_text())
            validate = fastjsonschema.compile(schema)
            stem = file.name.removesuffix(".schema.json")
            for example in sorted([*file.parent.glob(f"{stem}.valid/*.json"), *file.parent.glob(f"{stem}.invalid/*.json")]):
                instance = json.loads(example.read_text())
                given.append({"schema": schema, "instance": instance})
                try:
                    validate(instance)
                    ours.append(True)
                except fastjsonschema.JsonSchemaValueException:
                    ours.append(False)
        assert {True, False} == set(ours)
        assert len(ours) > 20
        assert await node("ajv.mjs", given=given) == ours


class TestExamples:
    """docs/examples, as a stranger runs them."""

    @pytest.fixture
    def installed(self, tmp_path: Path) -> Path:
        for file in (ROOT / "docs" / "examples").glob("*.mjs"):
            shutil.copy(file, tmp_path)
        (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
        return tmp_path

    async def test_the_receiver_checks_signatures_and_drops_duplicates(self, installed: Path, events: list[Event]) -> None:
        process = await _started(installed / "receiver.mjs", "0", LINESIDE_WEBHOOK_SECRET=SECRET)
        try:
            address = json.loads(await process.stdout.readline())["address"]
            secrets = {"hook": SECRET, "wrong": "whsec_" + "d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmc="}
            options = {"https": address, "auth": {"kind": "standard_webhooks", "secrets": [{"secret": "hook"}]}}
            for _ in range(2):
                await send("https", options, events[:2], secrets)
            lines = [json.loads(await process.stdout.readline()) for _ in range(4)]
            assert sorted((line["id"], line["what"]) for line in lines) == sorted(
                [(event.id, what) for event in events[:2] for what in ("applied", "duplicate")]
            )
            with pytest.raises(AssertionError):
                await send(
                    "https", options | {"auth": {"kind": "standard_webhooks", "secrets": [{"secret": "wrong"}]}}, events[:1], secrets
                )
        finally:
            process.kill()
            await process.wait()

    async def test_the_consumer_takes_each_event_once(self, installed: Path, events: list[Event]) -> None:
        async with NatsServer() as hub:
            await hub.create_stream()
            await _twice(hub, events)
            process = await _started(installed / "consumer.mjs", hub.url, "EVENTS", "example")
            try:
                assert json.loads(await process.stdout.readline())["what"] == "consumes"
                lines = [json.loads(await process.stdout.readline()) for _ in events]
            finally:
                process.kill()
                await process.wait()
        assert [line["id"] for line in lines] == [event.id for event in events]
        assert lines[0]["data"] == json.loads(events[0].data)


async def _started(script: Path, *arguments: str, **env: str) -> Any:
    return await asyncio.create_subprocess_exec(
        shutil.which("node") or "node", str(script), *arguments, stdout=asyncio.subprocess.PIPE, env=os.environ | env
    )
