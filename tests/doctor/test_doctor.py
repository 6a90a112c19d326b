"""`lineside doctor` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.doctor import examine

Doctor = Callable[..., Result]
CONFIG = """\
version: 1
site: {{enterprise: acme, site: dresden, gateway: press-01}}
machines:
  press-07: {{source: {{modbus: "tcp://127.0.0.1:9"}}, tags: {{oil: {{at: 40011}}}}}}
watch: [{{limit: {{on: press-07/oil, high: 70}}}}]
deliver: {{crm: {{https: "http://127.0.0.1:9/"}}}}
gateway: {{page: {{host: 0.0.0.0, port: 1}}, state_dir: "{state}"}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "lineside.yaml").write_text(CONFIG.format(state=tmp_path / "state"))
    return tmp_path / "lineside.yaml"


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def test_every_check_is_told_and_errors_make_the_exit_code(config: Path) -> None:
    done = doctor(config, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, list(told["checks"])) == (1, list(examine.CHECKS))
    refused = {"press-07: 127.0.0.1:9 takes no connection: Connection refused"}
    assert {each["what"] for each in told["checks"]["network"] if each["weight"] == "error"} == refused
    words = [each["what"][:29] for each in told["checks"]["configuration"]]
    assert words == ["nobody can log in yet, so the", "the page is to listen on 0.0."]
    text = doctor(config, "--no-network").stdout
    assert "takes no connection" not in text
    assert all(f" {name}" in text for name in examine.CHECKS)


def test_without_errors_it_ends_well(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(config.read_text().replace("0.0.0.0", "127.0.0.1"))
    for name in ("clock", "disk", "service", "machine", "permissions"):  # those of this machine are as they are
        monkeypatch.setitem(examine.CHECKS, name, lambda _: iter(()))
    assert doctor(config, "--no-network").exit_code == 0


def test_a_check_that_may_not_look_keeps_no_other_from_it(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: object) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/lineside/pki")

    monkeypatch.setitem(examine.CHECKS, "certificates", closed)
    told = json.loads(doctor(config, "--json", "--no-network").stdout)["checks"]
    assert told["certificates"][0]["what"] == "/var/lib/lineside/pki cannot be looked at: Permission denied"
    assert "sudo lineside doctor" in told["certificates"][0]["remedy"]


def test_errors_of_the_configuration_are_findings(config: Path) -> None:
    config.write_text(config.read_text().replace("high:", "hihg:"))
    told = json.loads(doctor(config, "--json").stdout)["checks"]["configuration"]
    assert any("did you mean 'high'" in each["remedy"] for each in told)


def test_wrong_input(config: Path) -> None:
    for file, said in (("missing.yaml", "there is no file missing.yaml"), (config.parent, "Is a directory")):
        done = doctor(file)
        assert (done.exit_code, said in done.stderr) == (2, True)
