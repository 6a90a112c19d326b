"""The units as systemd reads them: `verify` only prints what it does not know, so the test wants silence."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from gateway.cli import main
from gateway.clock.signs import MARKERS
from gateway.life import swap

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"


def options(name: str = "lineside.service", section: str = "Service") -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return dict(parser[section])


def analyze(verb: str, unit: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Among the units of its folder only, and with its drop-ins."""
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{unit.parent}:"}
    return subprocess.run(["systemd-analyze", verb, *arguments, str(unit)], capture_output=True, text=True, check=False, env=env)


def verify(unit: Path) -> str:
    return analyze("verify", unit, "--man=no").stderr.strip()


def exposure(unit: Path) -> float:
    """0 (safe) to 10, as systemd counts it."""
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", analyze("security", unit, "--offline=true", "--no-pager").stdout)
    assert found is not None
    return float(found[1])


@pytest.fixture(params=["lineside.service", "lineside@.service"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit, or an instance of the template, with a program that exists here."""
    unit = tmp_path / request.param.replace("@", "@press")
    unit.write_text((UNITS / request.param).read_text().replace("/usr/bin/lineside", "/bin/true"))
    return unit


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and not os.environ.get("CI"), reason="systemd-analyze is not installed"
)


@needs_systemd
def test_systemd_knows_every_line_of_the_unit(installed: Path) -> None:
    assert verify(installed) == ""


@needs_systemd
def test_the_check_would_notice_a_misspelt_line(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in verify(installed)


@needs_systemd
def test_the_exposure_is_what_the_readme_promises(installed: Path) -> None:
    assert exposure(installed) <= 1.5
    site = installed.parent / f"{installed.name}.d" / "50-site.conf"
    site.parent.mkdir()
    shutil.copy(UNITS / "site" / "50-site.conf", site)
    assert verify(installed) == ""
    assert exposure(installed) <= 1.1


@needs_systemd
def test_the_exposure_would_rise_without_a_line(installed: Path) -> None:
    before = exposure(installed)
    installed.write_text(installed.read_text().replace("CapabilityBoundingSet=\n", "").replace("ProtectSystem=strict\n", ""))
    assert exposure(installed) > before + 0.2


@pytest.fixture(params=["lineside-backup", "lineside-backup@"])
def backup(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The one, or an instance of the template."""
    for suffix in (".service", ".timer"):
        text = (UNITS / f"{request.param}{suffix}").read_text().replace("/usr/bin/lineside", "/bin/true")
        (tmp_path / f"{request.param}{suffix}".replace("@", "@press")).write_text(text)
    return tmp_path / f"{request.param}.service".replace("@", "@press")


@needs_systemd
def test_the_backup_and_its_timer(backup: Path) -> None:
    assert verify(backup) == ""
    assert verify(backup.with_suffix(".timer")) == ""
    assert exposure(backup) <= 0.3
    backup.with_suffix(".timer").write_text(backup.with_suffix(".timer").read_text().replace("*-*-*", "*-*-x"))
    assert "calendar" in verify(backup.with_suffix(".timer"))


def test_the_backup_runs_as_the_gateway_does_and_writes_where_tmpfiles_made_a_place() -> None:
    service, timer = options("lineside-backup.service"), options("lineside-backup.timer", "Timer")
    assert (service["User"], service["StateDirectory"], service["StateDirectoryMode"]) == ("lineside", "lineside", "0700")
    assert (timer["Persistent"], timer["RandomizedDelaySec"]) == ("true", "1h")
    assert f"d {service['ReadWritePaths']} 0700 lineside lineside -" in (UNITS / "lineside.tmpfiles.conf").read_text()
    arguments = service["ExecStart"].split()
    assert arguments[arguments.index("--to") + 1] == service["ReadWritePaths"]
    backup = main.get_command(click.Context(main), "backup")
    assert backup is not None
    backup.make_context("backup", arguments[2:])
    assert "enable lineside-backup.timer" in (UNITS / "lineside.preset").read_text().splitlines()


def test_the_backup_is_over_before_updates_restart_the_machine() -> None:
    """Cut off it is not taken again that night: the timer has had its turn."""
    service, timer = options("lineside-backup.service"), options("lineside-backup.timer", "Timer")
    apt = (ROOT / "firmware-config/apt/52lineside-unattended").read_text()
    begun = re.search(r"(\d+):(\d+)", timer["OnCalendar"])
    restart = re.search(r'Automatic-Reboot-Time "(\d+):(\d+)"', apt)
    assert begun is not None
    assert restart is not None
    longest = 60 * int(timer["RandomizedDelaySec"].removesuffix("h")) + int(service["TimeoutStartSec"].removesuffix("min"))
    assert 60 * int(begun[1]) + int(begun[2]) + longest <= 60 * int(restart[1]) + int(restart[2])


@pytest.mark.parametrize("name", ["lineside.service", "lineside-backup.service", "lineside-backup.timer"])
def test_a_template_is_its_unit_with_names_of_its_own(name: str) -> None:
    one, other = UNITS / name, UNITS / name.replace(".", "@.")
    told = re.sub(r"(?m)^(Description=.*) %i", r"\1", other.read_text())
    assert told.replace("lineside-%i", "lineside").replace("%i-", "").replace("%i", "lineside") == one.read_text()
    assert name.endswith(".timer") or options(other.name)["StateDirectory"] == "lineside-%i"


def test_a_wrong_configuration_is_not_started_again_and_a_crash_is() -> None:
    service = options()
    assert service["RestartPreventExitStatus"] == "2"
    assert service["Restart"] == "on-failure"
    assert service["Type"] == "notify"
    # systemd.service(5): what an ExecStartPre= exits with does not prevent a restart.
    assert "ExecStartPre" not in service


def test_a_reload_waits_for_the_answer_in_the_folder_where_the_gateway_leaves_it() -> None:
    service = options()
    assert service["ExecReload"].split()[1:] == ["reload", "--pid", "$MAINPID"]
    assert service["RuntimeDirectory"] == "lineside"


def test_the_sandbox_leaves_the_state_folder_only() -> None:
    service = options()
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "lineside"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["DevicePolicy"] == "closed"


def test_kinds_of_devices_are_known_to_the_kernel_before_they_are_allowed() -> None:
    """An adapter that is plugged in after the start would be refused for ever: systemd looks the kind up once."""
    text = (UNITS / "lineside.service").read_text()
    kinds = set(re.findall(r"^DeviceAllow=char-(\S+) rw$", text, re.MULTILINE))
    modules = {"ttyUSB": "usbserial", "ttyACM": "cdc_acm", "iio": "industrialio"}
    assert kinds == set(modules)
    for section in ("Wants", "After"):
        assert options(section="Unit")[section].split() == [f"modprobe@{module}.service" for module in modules.values()]


@needs_systemd
def test_what_tells_that_the_clock_is_synchronised_is_known_to_systemd_and_to_the_gateway(tmp_path: Path) -> None:
    unit = tmp_path / "lineside-clock.service"
    unit.write_text((UNITS / unit.name).read_text().replace("/usr/bin/lineside", "/bin/true"))
    assert verify(unit) == ""
    _, name, *arguments = options(unit.name)["ExecStart"].split()
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.make_context(name, arguments).params["mark"] in MARKERS
    assert "ProtectClock" not in options(unit.name), "it asks the kernel"


def test_no_start_and_no_timer_waits_for_a_time_server() -> None:
    """systemd-time-wait-sync.service, once started, holds up time-sync.target, and with it every unit behind it and every OnCalendar=:
    where the plant has no time server for ever. A clock unit that is a oneshot would keep the boot from being over."""
    wanted = (r"Wants|Requires|After|BindsTo", r"time-sync\.target|systemd-time-wait-sync|chrony-wait")
    lines = [f"{path.name}: {line}" for path in UNITS.glob("*.*") for line in path.read_text().splitlines()]
    assert [line for line in lines if re.search(rf": ({wanted[0]})=.*({wanted[1]})", line)] == []
    assert options("lineside-clock.service")["Type"] == "exec"


def test_the_folder_of_the_configuration_has_the_mode_that_tmpfiles_gave_it() -> None:
    tmpfiles = (UNITS / "lineside.tmpfiles.conf").read_text()
    assert f"d /etc/lineside {options()['ConfigurationDirectoryMode']} root lineside -" in tmpfiles


def test_stopping_has_more_time_than_the_gateway_takes() -> None:
    from gateway.app import DRAIN_SECONDS, LAST_SEND_SECONDS

    assert int(options()["TimeoutStopSec"]) > DRAIN_SECONDS + LAST_SEND_SECONDS + 2


@pytest.mark.parametrize(("unit", "name"), [("lineside.service", "lineside"), ("lineside@.service", "%i")])
def test_a_fresh_installation_waits_for_its_configuration_and_one_that_was_cut_off_in_a_restore_does_not(unit: str, name: str) -> None:
    staging = swap.staging(Path("/etc/lineside"), f"{name}.yaml")
    conditions = re.findall(r"^ConditionPathExists=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    assert conditions == [f"|/etc/lineside/{name}.yaml", f"|{staging}"]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None and not os.environ.get("CI"), reason="systemd-sysusers is not installed")
def test_accounts_and_folders_are_made(tmp_path: Path) -> None:
    """In a root of its own: what sysusers made is what tmpfiles and the unit name."""
    (tmp_path / "etc").mkdir()
    for program, *arguments in (
        ["systemd-sysusers", str(UNITS / "lineside.sysusers.conf")],
        ["systemd-tmpfiles", "--create", str(UNITS / "lineside.tmpfiles.conf")],
    ):
        done = subprocess.run([program, f"--root={tmp_path}", *arguments], capture_output=True, text=True, check=False)
        if os.geteuid() != 0 and done.returncode:
            pytest.skip("only root gives files away")
        assert done.returncode == 0, done.stderr
    passwd, group = ((tmp_path / "etc" / name).read_text() for name in ("passwd", "group"))
    assert f"\n{options()['User']}:" in f"\n{passwd}"
    assert re.search(r"^dialout:x:\d+:lineside$", group, re.MULTILINE)
    assert re.search(r"^lineside-ops:x:\d+:$", group, re.MULTILINE)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("etc/lineside", "etc/lineside/credentials")}
    assert modes == {"etc/lineside": 0o750, "etc/lineside/credentials": 0o700}


@pytest.mark.skipif(shutil.which("systemctl") is None and not os.environ.get("CI"), reason="systemctl is not installed")
def test_the_preset_enables_the_one_and_not_the_template(tmp_path: Path) -> None:
    for folder in ("system", "system-preset"):
        (tmp_path / "usr/lib/systemd" / folder).mkdir(parents=True)
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.timer")]:
        shutil.copy(unit, tmp_path / "usr/lib/systemd/system")
    shutil.copy(UNITS / "lineside.preset", tmp_path / "usr/lib/systemd/system-preset/90-lineside.preset")
    units = ("lineside.service", "lineside@press.service", "lineside-backup.timer", "lineside-backup@press.timer")
    subprocess.run(["systemctl", f"--root={tmp_path}", "preset", *units], capture_output=True, check=True)
    wanted = (tmp_path / "etc/systemd/system").glob("*.wants/*")
    assert sorted(path.name for path in wanted) == ["lineside-backup.timer", "lineside.service"]
