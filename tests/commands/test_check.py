"""`lineside check` on a file that is fine, and its form for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import Result

from gateway import registry

Lineside = Callable[..., Result]
Config = Callable[[str], str]


def test_a_fine_file_is_summed_up(lineside: Lineside, config: Config, tmp_path: Path) -> None:
    result = lineside("check", config("state"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "lineside.yaml: fine\n  sources       1 modbus (1 tag, 0 records)\n  watches       limit-1 (1)\n  destinations  crm (https)\n"
    )
    assert not (tmp_path / "state").exists()


def test_what_is_probably_not_meant_is_a_warning(lineside: Lineside, tmp_path: Path) -> None:
    text = """
version: 1
site: {enterprise: acme, site: dresden, gateway: dresden-press-01}
machines:
  press-07: {source: {modbus: "tcp://10.1.4.7"}, tags: {running: {at: 10003}}}
  press-08: {path: press-shop}
"""
    (tmp_path / "lineside.yaml").write_text(text, encoding="utf-8")
    result = lineside("check", "lineside.yaml")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: machine 'press-08' has no source: nothing is read",
        "warning: nothing watches machine 'press-07'",
        "warning: there is no destination: incidents stay on this gateway",
    ]
    assert result.stdout.splitlines()[1:] == [
        "  sources       1 modbus (1 tag, 0 records)",
        "  watches       none",
        "  destinations  none",
    ]


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        ("", ["values"]),
        (", user: me, password: {secret: pw}", ["values and the name of the user"]),
        (", security: None", []),
        (", security: Basic256Sha256/SignAndEncrypt", []),
    ],
)
def test_opc_ua_without_security_that_nobody_decided_on_is_a_warning(
    lineside: Lineside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, warned: list[str]
) -> None:
    monkeypatch.setenv("LINESIDE_SECRET_PW", "x")
    text = f"""
version: 1
site: {{enterprise: acme, site: dresden, gateway: dresden-press-01}}
machines:
  cnc-02: {{source: {{opcua: "opc.tcp://10.1.4.20:4840"{written}}}, tags: {{load: {{node: "ns=2;i=1"}}}}}}
watch: [{{limit: {{on: cnc-02/load, high: 95}}}}]
deliver: {{plant: {{nats: "nats://127.0.0.1:4222", stream: EVENTS}}}}
"""
    (tmp_path / "lineside.yaml").write_text(text, encoding="utf-8")
    result = lineside("check", "lineside.yaml")
    assert (result.exit_code, result.stderr.splitlines()) == (
        0,
        [
            f"warning: machine 'cnc-02': 10.1.4.20:4840 is read without security: {what} can be read and changed on the way; "
            "security: Basic256Sha256/SignAndEncrypt switches it on, security: None says that it is meant"
            for what in warned
        ],
    )


@pytest.mark.parametrize(
    ("pattern", "warned"),
    [
        ("io.lineside.vibrtion.*", True),
        ("vibration.*", True),
        ("io.lineside.vibration.*", False),
        ("io.lineside.anomaly.drift_detected.v1", False),
        ("*.raised.v1", False),
        ("io.lineside.gateway.*", False),
    ],
)
def test_a_destination_that_wants_what_nothing_sends_is_a_warning(
    lineside: Lineside, config: Config, tmp_path: Path, pattern: str, warned: bool
) -> None:
    file = tmp_path / config("state")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('9/"}', f'9/", when: {{types: ["{pattern}"]}}}}'), encoding="utf-8")
    result = lineside("check", "lineside.yaml")
    assert result.exit_code == 0
    assert result.stderr == (
        f"warning: destination 'crm' wants events of type {pattern!r}, and nothing here sends such\n" if warned else ""
    )


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ("linger: 30s, budget: {per_day: 1000}", True),
        ("linger: 30s, budget: {per_day: 2880}", False),
        ("linger: 30s, budget: {per_hour: 10}", False),
        ("linger: 30s", False),
        ("budget: {per_day: 1000}", False),
    ],
)
def test_a_linger_that_uses_the_budget_of_a_day_up_is_a_warning(
    lineside: Lineside, config: Config, tmp_path: Path, options: str, warned: bool
) -> None:
    file = tmp_path / config("state")
    file.write_text(file.read_text(encoding="utf-8").replace('9/"}', f'9/", {options}}}'), encoding="utf-8")
    result = lineside("check", "lineside.yaml")
    said = (
        "warning: destination 'crm' may send a request each 30 s (linger), 2,880 a day, and its budget is 1,000 events a day: "
        "steady events use it up after 8.3 h; linger: 87s or more makes it last\n"
    )
    assert (result.exit_code, result.stderr) == (0, said if warned else "")


def test_json_is_one_object_for_each_problem(lineside: Lineside, config: Config, tmp_path: Path) -> None:
    assert lineside("check", "--json", config("state")).stdout == ""
    (tmp_path / "lineside.yaml").write_text("version: 1\nsite: {enterprise: acme, site: dresden, gateway: Ä}\nwach: []\n", encoding="utf-8")
    result = lineside("check", "--json", "lineside.yaml")
    assert (result.exit_code, result.stderr) == (2, "")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "file": "lineside.yaml",
            "line": 2,
            "column": 50,
            "where": "site.gateway",
            "message": "'Ä' is no name",
            "hint": "use a-z, 0-9, - and _, for example 'a'",
            "excerpt": "site: {enterprise: acme, site: dresden, gateway: Ä}",
        },
        {
            "file": "lineside.yaml",
            "line": 3,
            "column": 1,
            "where": "wach",
            "message": "unknown option",
            "hint": "did you mean 'watch'?",
            "excerpt": "wach: []",
        },
    ]


@pytest.mark.parametrize(("options", "library"), [("vibration: {on: pump-3/x}", "scipy"), ("river: {on: pump-3/y}", "river")])
def test_a_detector_whose_library_is_not_installed_says_what_to_install(
    lineside: Lineside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, library: str
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == library else find_spec(name))
    text = f"""
version: 1
site: {{enterprise: acme, site: dresden, gateway: dresden-press-01}}
watch:
  - {options}
"""
    (tmp_path / "lineside.yaml").write_text(text, encoding="utf-8")
    result = lineside("check", "lineside.yaml")
    assert result.exit_code == 2
    kind = options.partition(":")[0]
    assert result.stderr.splitlines()[0] == (
        f"lineside.yaml:5:5: watch[0].{kind}: needs {library}, which this installation lacks; "
        f"install the package lineside-analytics, or with pip: {library}"
    )
