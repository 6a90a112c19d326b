"""`lineside test-uplink` against the org, as the administrator meets it; and verdicts over the same login."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import registry
from gateway.cli import main
from gateway.contract import Judgement
from gateway.testkit.servers.salesforce import Salesforce

CONFIG = """
version: 1
site: {{enterprise: acme, site: test, gateway: test-gw}}
machines: {{}}
deliver:
  crm:
    https: "{url}"
    preset: salesforce
    mode: {mode}
    timeout: 5s
    auth: {{kind: oauth2_jwt_bearer, client_id: {{secret: sf_client_id}}, private_key: {{secret: sf_key}}, username: gateway@acme.example}}
gateway: {{page: off, state_dir: state}}
"""


@pytest.fixture
def examined(org: Salesforce, pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``await examined("--live")``"""
    monkeypatch.setenv("LINESIDE_SECRET_SF_CLIENT_ID", "3MVG9.app")
    monkeypatch.setenv("LINESIDE_SECRET_SF_KEY", pair.key)

    async def run(*arguments: str, mode: str = "event") -> Result:
        (tmp_path / "lineside.yaml").write_text(CONFIG.format(url=org.url, mode=mode), encoding="utf-8")
        command = ["test-uplink", "crm", *arguments, str(tmp_path / "lineside.yaml")]
        return await asyncio.to_thread(CliRunner().invoke, main, command)

    return run


@pytest.mark.parametrize("mode", ["event", "record"])
async def test_a_way_that_is_open_is_walked_to_its_end(org: Salesforce, examined: Any, mode: str) -> None:
    result = await examined("--live", mode=mode)
    assert (result.exit_code, "failed" in result.output) == (0, False), result.output
    found = org.events if mode == "event" else org.cases
    assert ["please ignore" in (one.get("Title__c") or one["Subject"]) for one in found] == [True]
    assert not any(one.get("Alarm_Id__c") for one in found)


async def test_without_live_nothing_is_written(org: Salesforce, examined: Any) -> None:
    result = await examined()
    assert result.exit_code == 0
    assert (org.events, org.cases) == ([], [])


@pytest.mark.parametrize(
    ("change", "step", "words"),
    [
        ({"client_id": "other"}, "login", "auth.client_id"),
        ({"approved": set()}, "login", "approved the app for this user"),
        ({"certificate": None}, "login", "auth.private_key"),
    ],
)
async def test_a_log_in_that_is_refused_is_told_with_its_remedy(
    org: Salesforce, examined: Any, change: dict[str, Any], step: str, words: str
) -> None:
    for name, value in change.items():
        setattr(org.logins.app, name, value)
    result = await examined("--live")
    assert result.exit_code == 1
    assert f"failed  {step}" in result.output
    assert words in result.output
    assert org.events == []


@pytest.mark.parametrize(("mode", "name"), [("event", "Gateway_Event__e"), ("record", "Case")])
async def test_a_folder_that_was_not_deployed_or_assigned_is_told(org: Salesforce, examined: Any, mode: str, name: str) -> None:
    org.org.may_create = set()
    result = await examined("--live", mode=mode)
    assert result.exit_code == 1
    assert name in result.output
    assert "Gateway_Publisher" in result.output
    assert (org.events, org.cases) == ([], [])


async def test_an_event_that_is_not_there_is_told(org: Salesforce, examined: Any) -> None:
    del org.org.objects["Gateway_Event__e"]  # type: ignore[attr-defined]
    result = await examined()
    assert result.exit_code == 1
    assert "lineside export salesforce" in result.output


async def test_verdict_of_a_case_comes_back_with_its_incident(line: Any, org: Salesforce) -> None:
    """From the opening to the judgement, in record mode, over one login each way."""
    event = line.incident(1, "raised")
    await (await line.connected(mode="record")).send([event])
    org.org.update(org.cases[0], {"Gateway_Verdict__c": "False_Alarm"})
    plugin = registry.uplink("https")
    feedback = plugin.feedback(plugin.options.model_validate(line.options(mode="record")), line.context())
    assert feedback is not None
    try:
        await feedback.connect()
        async with asyncio.timeout(5):
            [verdict] = await feedback.read()
    finally:
        await feedback.close()
    assert (verdict.incident, verdict.judgement) == (event.correlationid, Judgement.FALSE_ALARM)


async def test_without_feedback_none_is_asked_for(line: Any) -> None:
    plugin = registry.uplink("https")
    assert plugin.feedback(plugin.options.model_validate(line.options(feedback=None)), line.context()) is None
