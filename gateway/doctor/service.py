"""The unit: whether systemd runs the gateway, watches it, and will start it again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning

UNIT = "lineside.service"
_CONFIGURATIONS = Path("/etc/lineside")
_ASKED = ("LoadState", "ActiveState", "UnitFileState", "MainPID", "NRestarts", "WatchdogUSec", "Result", "ExecMainStatus")
_SECONDS = 5.0
MANY_RESTARTS = 5


@dataclass(frozen=True, kw_only=True)
class Service:
    """unit      what systemd says; empty: there is no systemd here
    holder    pid of the process that holds the state folder, 0: nobody
    cgroup    of the holder
    name      of the unit, as one types it
    """

    unit: Mapping[str, str]
    holder: int
    cgroup: str
    name: str = UNIT.removesuffix(".service")


def unit_of(config: Path) -> str:
    """The unit that runs this configuration: an instance of the template for every other one where they lie.

    >>> unit_of(Path("/etc/lineside/lineside.yaml")), unit_of(Path("/etc/lineside/press.yaml")), unit_of(Path("press.yaml"))
    ('lineside.service', 'lineside@press.service', 'lineside.service')
    """
    is_instance = config.absolute().parent == _CONFIGURATIONS and config.name != "lineside.yaml" and config.suffix == ".yaml"
    return f"lineside@{config.stem}.service" if is_instance else UNIT


def read(holder: int, root: Path = Path("/"), unit: str = UNIT) -> Service:
    return Service(unit=ask(unit), holder=holder, cgroup=_cgroup(root, holder), name=unit.removesuffix(".service"))


def ask(unit: str = UNIT, program: str = "systemctl") -> dict[str, str]:
    """What systemd says of the unit; empty where it is not, or does not answer."""
    if not Path("/run/systemd/system").exists() and program == "systemctl":
        return {}
    try:
        done = subprocess.run(  # noqa: S603  a program of the system and names of ours
            [program, "show", unit, f"--property={','.join(_ASKED)}"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def judge(service: Service) -> Iterator[Finding]:
    unit = service.unit
    if not unit or unit.get("LoadState") == "not-found":
        if not service.holder:
            yield warning("no gateway runs, and there is no unit that would start one", "install the unit: systemd/README.md")
        else:
            yield warning(
                "the gateway does not run under systemd: nobody starts it again after a crash or a power cut",
                "install the unit: systemd/README.md",
            )
        if "user.slice" in service.cgroup:
            yield warning("the gateway runs in somebody's session and may end with it", "run it as the unit; or: loginctl enable-linger")
        return
    if unit.get("ActiveState") == "failed":
        status = unit.get("ExecMainStatus", "?")
        yield error(
            f"the unit has failed (exit code {status}: 2 is the configuration, 1 a crash)",
            f"journalctl -u {service.name} -n 50 says why; then: systemctl restart {service.name}",
        )
    elif unit.get("ActiveState") != "active":
        yield error(f"the unit is {unit.get('ActiveState', 'unknown')}", f"sudo systemctl start {service.name}")
    if unit.get("UnitFileState") not in ("enabled", "static", "enabled-runtime", "alias"):
        yield warning("the unit is not enabled: after a power cut no gateway starts", f"sudo systemctl enable {service.name}")
    if unit.get("WatchdogUSec") in ("0", "infinity"):
        yield warning(
            "the unit has no watchdog: a gateway that hangs goes on hanging", "take the unit of this version: systemd/lineside.service"
        )
    if int(unit.get("NRestarts", "0") or 0) >= MANY_RESTARTS:
        yield warning(f"the gateway was started again {unit['NRestarts']} times", f"journalctl -u {service.name} -p err says why it ends")
    if service.holder and int(unit.get("MainPID", "0") or 0) not in (0, service.holder):
        yield error(
            f"another process (pid {service.holder}) holds the state folder, not the unit's: a second gateway was started by hand",
            f"stop that one: kill {service.holder}",
        )
    elif service.holder and unit.get("MainPID") == "0":
        yield error(
            f"a gateway that was started by hand (pid {service.holder}) holds the state folder: the unit cannot start",
            f"kill {service.holder}, then: systemctl start {service.name}",
        )


def _cgroup(root: Path, pid: int) -> str:
    try:
        return (root / "proc" / str(pid) / "cgroup").read_text(encoding="utf-8") if pid else ""
    except OSError:
        return ""
