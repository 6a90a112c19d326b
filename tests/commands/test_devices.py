"""`lineside plan`, `browse`, `probe`, `trust`: what needs no device."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway import registry
from gateway.cli import main
from gateway.commands.as_gateway import as_gateway
from gateway.commands.peers import context
from gateway.config.tags_csv import read_tags
from gateway.contract import Found, Load, NotConnected, SourcePlugin

CONFIG = """\
version: 1
site: {enterprise: acme, site: test, gateway: gw}
machines:
  press-07:
    source: {modbus: "tcp://127.0.0.1:502"}
    tags:
      oil: {at: 40011, as: float32, unit: bar}
watch:
  - anomaly: {on: press-07/oil, false_alarms_per_week: 7}
"""


@pytest.fixture
def lineside() -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the Modbus driver hooks of our own."""
    real = registry.load

    def change(**hooks: Any) -> None:
        def load(kind: Any, name: str) -> Any:
            plugin = real(kind, name)
            return replace(plugin, **hooks) if isinstance(plugin, SourcePlugin) and name == "modbus" else plugin

        monkeypatch.setattr(registry, "load", load)

    return change


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lineside.yaml"
    path.write_text(CONFIG)
    return path


def load_of(share: float) -> Callable[[Any, Sequence[Any]], Load]:
    return lambda _options, tags: Load(
        readings=float(len(tags)), requests=2.0, bytes=512.0, cycle_seconds=0.25, bus="/dev/ttyUSB0", bus_share=share, notes=("one note",)
    )


def test_plan_shows_the_load_of_each_device_and_line(lineside: Callable[..., Result], driver: Callable[..., None], file: Path) -> None:
    driver(plan=load_of(0.5))
    result = lineside("plan", file)
    assert result.exit_code == 0, result.output
    assert "press-07" in result.output
    assert "0.250 s" in result.output
    assert "line /dev/ttyUSB0: 50% busy" in result.output
    assert "press-07: one note" in result.output
    assert "about 3 events and commits a day" in result.output


def test_a_line_that_would_be_too_busy_is_refused(lineside: Callable[..., Result], driver: Callable[..., None], file: Path) -> None:
    driver(plan=load_of(0.81))
    result = lineside("plan", file, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["buses"] == {"/dev/ttyUSB0": 0.81}
    assert "/dev/ttyUSB0 would be 81% busy; more than 80% is refused" in result.stderr


def test_shares_of_one_line_add_up(lineside: Callable[..., Result], driver: Callable[..., None], file: Path) -> None:
    driver(plan=load_of(0.45))
    more = CONFIG.replace("watch:", "  press-08:\n    source: {modbus: 'tcp://127.0.0.1:502'}\n    tags: {oil: {at: 40011}}\nwatch:")
    file.write_text(more)
    assert lineside("plan", file).exit_code == 2


def test_the_buffer_is_told_for_a_given_number_of_events(lineside: Callable[..., Result], file: Path) -> None:
    few = json.loads(lineside("plan", file, "--events-per-day", "86400", "--json").stdout)["expected"]
    assert few["events_per_day"] == 86400
    assert 60 < few["hours"] < 80


def test_what_browse_prints_is_what_tags_from_reads(lineside: Callable[..., Result], driver: Callable[..., None], tmp_path: Path) -> None:
    async def found(_options: Any, _context: Any, select: str) -> AsyncIterator[Found]:
        assert select == "Press*"
        yield Found(name="load", options={"at": "40011", "unit": "%"}, value="3,5", note="Float; the load")
        yield Found(name="load", options={"at": "40013", "as": "float32"})

    driver(browse=found, schemes=("tcp",))
    result = lineside("browse", "tcp://127.0.0.1:502", "--select", "Press*", "--option", "timeout=2s")
    assert result.exit_code == 0, result.output
    file = tmp_path / "tags.csv"
    file.write_text(result.stdout)
    tags, problems = read_tags(file, file.read_bytes(), ("at", "as", "unit"))
    assert problems == []
    assert [(tag.name, tag.options) for tag in tags] == [
        ("load", {"at": "40011", "unit": "%"}),
        ("load_2", {"at": "40013", "as": "float32"}),
    ]


def test_browse_says_that_nobody_is_there(lineside: Callable[..., Result], driver: Callable[..., None]) -> None:
    async def gone(_options: Any, _context: Any, _select: str) -> AsyncIterator[Found]:
        raise NotConnected("127.0.0.1:502", "connection refused")
        yield  # what makes it a generator

    driver(browse=gone, schemes=("tcp",))
    result = lineside("browse", "tcp://127.0.0.1:502")
    assert (result.exit_code, result.output.strip()) == (1, "127.0.0.1:502: connection refused")


def test_probe_prints_line_by_line(lineside: Callable[..., Result], driver: Callable[..., None]) -> None:
    async def lines(_options: Any, _context: Any) -> AsyncIterator[str]:
        yield "machines:"
        yield "  press-07: {}"

    driver(probe=lines, schemes=("tcp",))
    result = lineside("probe", "tcp://127.0.0.1:502")
    assert result.stdout == "machines:\n  press-07: {}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("browse", "ftp://127.0.0.1"), "no driver is for 'ftp://127.0.0.1'"),
        (("browse", "press-07", "--option", "a=b"), "--option goes with an address"),
        (("probe", "tcp://127.0.0.1", "--option", "timeout"), "write KEY=VALUE"),
        (("browse", "tcp://127.0.0.1", "--option", "user=@plant"), "'@plant' is no value in YAML; quotes make it one"),
        (("browse", "tcp://127.0.0.1", "--option", "password=a", "--option", "password.secret=b"), "password has a value already"),
    ],
)
def test_wrong_input_is_told(lineside: Callable[..., Result], driver: Callable[..., None], arguments: tuple[str, ...], said: str) -> None:
    driver(schemes=("tcp",))
    result = lineside(*arguments)
    assert result.exit_code in (1, 2)
    assert said in result.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("verb", ["browse", "probe"])
def test_what_a_driver_writes_for_root_is_the_gateways(lineside: Callable[..., Result], driver: Callable[..., None], verb: str) -> None:
    """Else the gateway cannot use the certificate, and a link of its account has root write elsewhere."""
    with TemporaryDirectory() as folder:
        state, secret = Path(folder) / "state", Path(folder) / "of-root"
        state.mkdir(mode=0o700)
        secret.touch(mode=0o600)
        (state / "link").symlink_to(secret)
        Path(folder).chmod(0o755)
        os.chown(state, 12345, 12346)
        refused = []

        async def work(context: Any) -> None:
            context.pki.mkdir()
            (context.pki / "own.key").touch(mode=0o600)
            try:
                (state / "link").write_text("x")
            except PermissionError as exc:
                refused.append(exc)

        async def browsed(options: Any, context: Any, select: str) -> AsyncIterator[Found]:
            await work(context)
            yield Found(name="load", options={})

        async def probed(options: Any, context: Any) -> AsyncIterator[str]:
            await work(context)
            yield "found"

        driver(schemes=("tcp",), browse=browsed, probe=probed)
        done = lineside(verb, "tcp://127.0.0.1:502", "--state-dir", state)
        assert done.exit_code == 0, done.output
        found = [(path.stat().st_uid, path.stat().st_gid) for path in (state / "pki", state / "pki/own.key")]
        assert (found, len(refused), os.geteuid(), os.getegid()) == ([(12345, 12346)] * 2, 1, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_secret_only_root_may_read_is_known_at_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway gets it from systemd."""
    with TemporaryDirectory() as folder:
        state, credentials = Path(folder) / "state", Path(folder) / "credentials"
        state.mkdir(mode=0o700)
        credentials.mkdir(mode=0o700)
        Path(folder).chmod(0o755)
        os.chown(state, 12345, 12346)
        (credentials / "pw").write_text("hunter2")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
        given = {"opcua": "opc.tcp://127.0.0.1:4840", "user": "u", "password": {"secret": "pw"}}
        options = registry.source("opcua").options.model_validate(given)
        made = context("cnc-02", options=options, state_dir=state, secrets=Path(folder))
        (credentials / "pw").chmod(0o600)
        with as_gateway(state):
            assert os.geteuid() == 12345
            assert made.secret(options.password) == "hunter2"  # type: ignore[attr-defined]


def certificate(name: str, days: float) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
    built = built.not_valid_before(datetime.now(UTC) - timedelta(days=400)).not_valid_after(datetime.now(UTC) + timedelta(days=days))
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName("plc.example")]), critical=False)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    for folder, name, days in (("own", "Lineside", 3000.5), ("rejected", "KEPServerEX", 20.5), ("trusted", "S7-1500", -1)):
        (tmp_path / "pki" / folder).mkdir(parents=True)
        (tmp_path / "pki" / folder / f"{name}.der").write_bytes(certificate(name, days))
    (tmp_path / "pki/own/own.key.pem").write_text("secret")
    (tmp_path / "pki/rejected/noise.der").write_bytes(b"\x30\x03abc")
    return tmp_path


def test_trust_lists_all_certificates_and_no_key(lineside: Callable[..., Result], pki: Path) -> None:
    lines = lineside("trust", "list", "--state-dir", pki).stdout.splitlines()
    assert len(lines) == 4
    assert any("own" in line and "3,000 days left" in line and "CN=Lineside" in line for line in lines)
    assert any("rejected" in line and "20 days left" in line and "renew it" in line for line in lines)
    assert any("trusted" in line and "EXPIRED" in line for line in lines)
    assert any("not a certificate" in line for line in lines)


def test_accepting_moves_the_file_and_rejecting_moves_it_back(lineside: Callable[..., Result], pki: Path) -> None:
    listed = lineside("trust", "list", "--state-dir", pki).stdout
    thumbprint = next(line.split()[1] for line in listed.splitlines() if "KEPServerEX" in line)
    shown = lineside("trust", "show", thumbprint[:6], "--state-dir", pki).stdout
    assert "CN=KEPServerEX" in shown
    assert "plc.example" in shown
    assert lineside("trust", "accept", thumbprint.upper(), "--state-dir", pki).exit_code == 0
    assert (pki / "pki/trusted/KEPServerEX.der").exists()
    again = lineside("trust", "accept", thumbprint, "--state-dir", pki)
    assert again.exit_code == 1
    assert "no certificate" in again.output
    assert lineside("trust", "reject", thumbprint, "--state-dir", pki).exit_code == 0
    assert (pki / "pki/rejected/KEPServerEX.der").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_root_makes_belongs_to_the_gateways_account(lineside: Callable[..., Result], pki: Path) -> None:
    """Else the gateway cannot put there what the next server shows."""
    (pki / "pki/rejected/noise.der").unlink()
    (pki / "pki/rejected/KEPServerEX.der").rename(pki / "pki/trusted/KEPServerEX.der")
    (pki / "pki/rejected").rmdir()
    os.chown(pki / "pki", 12345, 12346)
    listed = lineside("trust", "list", "--state-dir", pki).stdout
    thumbprint = next(line.split()[1] for line in listed.splitlines() if "KEPServerEX" in line)
    assert lineside("trust", "reject", thumbprint, "--state-dir", pki).exit_code == 0
    made = (pki / "pki/rejected").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (12345, 12346, 0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="it is root that would write elsewhere")
@pytest.mark.parametrize("link", ["trusted", "rejected", "."])
def test_root_moves_no_certificate_along_a_link_of_the_gateways_account(lineside: Callable[..., Result], pki: Path, link: str) -> None:
    place = pki / "pki" / link
    place.rename(pki / "elsewhere")
    place.symlink_to(pki / "elsewhere")
    listed = lineside("trust", "list", "--state-dir", pki).stdout
    thumbprint = next(line.split()[1] for line in listed.splitlines() if "KEPServerEX" in line)
    done = lineside("trust", "accept", thumbprint, "--state-dir", pki)
    assert (done.exit_code, "run the command as the gateway's user" in done.output) == (1, True)
    assert (pki / "pki/rejected/KEPServerEX.der").exists()


def test_trust_passes_over_what_is_no_file_and_says_what_it_may_not_read(
    lineside: Callable[..., Result], pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pki / "pki/rejected/folder.der").mkdir()
    os.mkfifo(pki / "pki/rejected/pipe.der")
    assert len(lineside("trust", "list", "--state-dir", pki).stdout.splitlines()) == 4

    def closed(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    done = lineside("trust", "list", "--state-dir", pki)
    assert (done.exit_code, "own/Lineside.der cannot be read: Permission denied" in done.output) == (1, True)


def test_trust_without_certificates_says_when_there_will_be_some(lineside: Callable[..., Result], tmp_path: Path) -> None:
    assert "no certificates in" in lineside("trust", "list", "--state-dir", tmp_path).stdout
    misspelt = lineside("trust", "list", "--state-dir", tmp_path / "none")
    assert (misspelt.exit_code, misspelt.stderr[:18]) == (1, "there is no folder")
