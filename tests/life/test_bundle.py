"""`lineside bundle`: everything support asks for, and no canary in it, wherever one was put."""

from __future__ import annotations

import json
import stat
import tarfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands import bundle as command
from gateway.life.redact import Redactor

Lineside = Callable[..., Result]
CANARIES = {
    "in a secret's file": 'canary-file/+&"x',
    "in a credential of the unit": "canary-credential",
    "in the environment": "canary-environment",
    "plain in the YAML": "canary plain in yaml",
    "in an address": "canary-address",
    "in a comment": "canary-comment",
    "in a header": "canary-header",
    "in a query": "canary-query",
    "in a key": "canary0key0canary0key0canary0key",
    "in an account": "canary-account",
}
SEED = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"


def members(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        return {member.name.removeprefix("lineside-support/"): tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]


@contextmanager
def page(gateway: Any, body: str) -> Iterator[None]:
    with gateway.page(lambda _: (200, body)):
        yield


@pytest.fixture
def leaky(gateway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Canaries in every place a secret may be, all of them said by log, status and metrics, too."""
    text = gateway.file.read_text().replace(
        "  crm:",
        f"  # password: {CANARIES['in a comment']}\n"
        f'  old: {{https: "https://me:{CANARIES["in an address"]}@h/?api_token={CANARIES["in a query"]}",\n'
        f'        token: "{CANARIES["plain in the YAML"]}",\n'
        f"        headers: {{Authorization: Bearer {CANARIES['in a header']}}}}}\n  crm:",
    )
    gateway.file.write_text(text)
    gateway.put(gateway.config / "secrets/crm_token", CANARIES["in a secret's file"].encode())
    gateway.put(gateway.config / "credentials/nats", CANARIES["in a credential of the unit"].encode())
    gateway.put(gateway.config / "notes.yaml", f'api_key: "{CANARIES["plain in the YAML"]}"\n'.encode())
    key = f"-----BEGIN PRIVATE KEY-----\n{CANARIES['in a key']}\n-----END PRIVATE KEY-----\n"
    gateway.put(gateway.state / "pki/own/own.key.pem", key.encode())
    gateway.put(gateway.state / "accounts.json", json.dumps({"anna": CANARIES["in an account"]}).encode())
    monkeypatch.setenv("LINESIDE_SECRET_HUB", CANARIES["in the environment"])
    file = CANARIES["in a secret's file"]
    said = [
        f"refused token={CANARIES['in a header']}",
        f"sent Authorization: Basic {b64encode(CANARIES['in an account'].encode()).decode()}",
        f"GET https://me:{CANARIES['in an address']}@h/x?access_token={CANARIES['in a query']}&b=1",
        f"it said {file}",
        f"it said {quote(file, safe='')}",
        f"it said {json.dumps(file)}",
        f"it said {b64encode(file.encode()).decode()}",
        f"it said {CANARIES['in a credential of the unit']} and {CANARIES['in the environment']} and {CANARIES['plain in the YAML']}",
        f'{{"password": "{CANARIES["in an account"]}", "machine": "press-07"}}',
        f"seed {SEED}",
        key,
    ]
    for name in ("journalctl", "df", "ip"):
        program = tmp_path / "bin" / name
        gateway.put(program, f"#!/bin/sh\ncat {tmp_path}/said\necho 10.1.4.7 plc.plant marker-{name}\n".encode(), 0o755)
    (tmp_path / "said").write_text("\n".join(said) + "\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return gateway


def test_nothing_secret_is_in_it_and_what_support_needs_is(leaky: Any, lineside: Lineside, tmp_path: Path) -> None:
    with page(leaky, (tmp_path / "said").read_text() + "links_up 1\n"):
        done = lineside("bundle", leaky.file, "--to", "b.tar.gz")
    assert done.exit_code == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600
    found = members(tmp_path / "b.tar.gz")
    for name, text in {**found, "stdout": done.stdout}.items():
        assert "canary" not in text, (name, text[max(0, text.find("canary") - 200) :][:400])
        assert SEED not in text
        assert b64encode(b"canary")[:6].decode() not in text, name
    assert "marker-journalctl" in found["journal.txt"]
    assert "marker-df" in found["machine.txt"]
    assert "links_up 1" in found["metrics.txt"]
    assert "token: {secret: crm_token}" in found["configuration/lineside.yaml"]
    assert "oil_temperature,40011" in found["configuration/tags.csv"]
    assert json.loads(found["outbox.json"])["balanced"] is True
    assert json.loads(found["doctor.json"])["checks"]
    assert "events.jsonl" not in found
    assert "canary-of-an-event" not in str(found)
    listed = {line.split()[0] for line in found["CONTENTS.txt"].splitlines()[2:] if line}
    assert listed == set(found) - {"CONTENTS.txt"}


def test_events_only_when_asked_for_and_hosts_hidden_when_asked_for(leaky: Any, lineside: Lineside, tmp_path: Path) -> None:
    leaky.file.write_text(leaky.file.read_text().replace("tcp://127.0.0.1:9", "tcp://plc.plant:502"))
    assert lineside("bundle", leaky.file, "--to", "b.tar.gz", "--with-events", "--hide-hosts").exit_code == 0
    found = members(tmp_path / "b.tar.gz")
    assert [json.loads(line)["id"] for line in found["events.jsonl"].splitlines()] == ["inc-a-0002", "inc-a-0001"]
    assert "plc.plant" not in str(found)
    assert "10.1.4.7" not in str(found)
    alias = next(
        word for word in found["configuration/lineside.yaml"].replace("/", " ").replace(":", " ").split() if word.startswith("host-")
    )
    assert alias in found["journal.txt"]


def test_its_size_is_bounded_and_a_log_keeps_its_end(
    gateway: Any, lineside: Lineside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_PART", 20_000)
    gateway.put(gateway.config / "large.csv", b"name\n" + b"tag\n" * 10_000)
    gateway.put(tmp_path / "bin/journalctl", b"#!/bin/sh\nseq 1 20000\n", 0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert lineside("bundle", gateway.file, "--to", "b.tar.gz").exit_code == 0
    found = members(tmp_path / "b.tar.gz")
    assert max(len(text) for text in found.values()) < 21_000
    assert found["journal.txt"].endswith("\n19999\n20000\n")
    assert found["configuration/large.csv"].startswith("name\ntag\n")
    assert "[cut: " in found["journal.txt"]
    monkeypatch.setattr(command, "MOST_ALL", 30_000)
    assert lineside("bundle", gateway.file, "--to", "b.tar.gz").exit_code == 0
    assert sum(len(text) for text in members(tmp_path / "b.tar.gz").values()) < 35_000


def test_what_the_page_shows_only_after_a_login_is_said_to_be_missing(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    with gateway.page(lambda path: (200, '{"ok": true}') if path == "/healthz" else (401, '{"error": "log in"}')):
        assert lineside("bundle", gateway.file, "--to", "b.tar.gz").exit_code == 0
        port = gateway.file.read_text().split("port: ")[1].split("}")[0]
    found = members(tmp_path / "b.tar.gz")
    assert found["healthz.json"] == '{"ok": true}'
    for name, path in (("status.json", "/api/status"), ("metrics.txt", "/metrics")):
        assert found[name].startswith(f"not in this bundle: the page wants a login for {path}, and this command has none.\n")
        assert "lineside token add support --role viewer" in found[name]
        assert f"http://127.0.0.1:{port}{path}" in found[name]
        assert set(found[name].splitlines()[1].split(" say ")[0].replace(" and ", ", ").split(", ")) <= set(found)


def test_a_gateway_in_the_worst_state_still_gets_one(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    (gateway.state / "outbox.db").write_bytes(b"garbage " * 4096)
    gateway.file.write_text(gateway.file.read_text().replace("limit:", "limt:"))
    assert lineside("bundle", gateway.file, "--to", "b.tar.gz").exit_code == 0
    found = members(tmp_path / "b.tar.gz")
    assert found["outbox.json"].startswith("could not be had: ")
    assert "did you mean 'limit'" in found["check.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.yaml",), "there is no file missing.yaml"),
        (("--to", "missing/b.tar.gz"), "there is no folder missing"),
        (("--log-lines", "-1"), "-1"),
    ],
)
def test_wrong_input(gateway: Any, lineside: Lineside, arguments: tuple[str, ...], said: str) -> None:
    done = lineside("bundle", *(arguments if arguments[0] == "missing.yaml" else (gateway.file, *arguments)))
    assert (done.exit_code, said in done.stderr) == (2, True)


@given(
    st.text(min_size=4, max_size=40).filter(lambda text: len(text.strip().strip("\"'")) >= 4), st.text(max_size=50), st.text(max_size=50)
)
def test_a_known_secret_is_never_seen_whatever_is_around_it(secret: str, before: str, after: str) -> None:
    plain = secret.strip().strip("\"'")
    if plain not in "***" and plain not in f"{before}{after}":
        assert plain not in Redactor([secret])(f"{before}{plain}{after}").replace("***", "")


def test_hosts_are_hidden_however_they_are_written() -> None:
    """The log has them in small letters, whatever the file has."""
    hide = Redactor([], ["PLC-Press07.Plant"])
    said = hide("tcp://PLC-Press07.Plant:502 lost peer=plc-press07.plant:502 inet6 FD00:1::20/64 fe80::a2:ff:fe00:1%eth0 [fd00:1::20]:4840")
    assert said == "tcp://host-1:502 lost peer=host-1:502 inet6 host-2/64 host-3%eth0 [host-2]:4840"
    plain = "12:30:45 aa:bb:cc:dd:ee:ff ::1 localhost 127.0.0.1 a::: x::y"
    assert hide(plain) == plain


def test_what_is_no_secret_stays() -> None:
    text = "press-07 lost why=refused\noil_temperature: {at: 40011}\ntokens 5\nmonkey: 3\npassword: {secret: crm}\ntoken: null\nhttps://h/x?page=2"
    assert Redactor(["hunter2"])(text) == text


@pytest.mark.parametrize(
    "said",
    [
        r"""{"password": "be\"canary"}""",
        r'''"api_token": "be\\\"canary\\"''',
        "password: 'it''s canary'",
        "https://prod.logic.azure.com/workflows/1/invoke?api-version=1&sp=run&sig=canary",
        "https://plant.azurewebsites.net/api/case?code=canary==",
        "see lineside_canaryR2D2canaryR2D2canaryR2D2canaryR2D2-xy",
    ],
)
def test_a_secret_nobody_knows_is_masked_to_its_end(said: str) -> None:
    assert "canary" not in Redactor([])(said)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ['token: "\\', "token: ''", "token", "a.", "eyJaaaaaaaaaa-", "-----BEGIN ", "x://", "pass_", "bearer ", "{secret", "://a@"]
)
def test_a_hostile_line_in_the_log_does_not_hold_it_up(piece: str) -> None:
    assert len(Redactor(["hunter2"], ["plc"])(piece * (100_000 // len(piece)))) > 0
