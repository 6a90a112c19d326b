"""The unit: whether systemd runs the gateway, watches it, and will start it again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning

UNIT = "lineside.service"
_ASKED = ("LoadState", "ActiveState", "UnitFileState", "MainPID", "NRestarts", "WatchdogUSec", "Result", "ExecMainStatus")
_SECONDS = 5.0
MANY_RESTARTS = 5


@dataclass(frozen=True, kw_only=True)
class Service:
    """unit      what systemd says; empty: there is no systemd here
    holder    pid of the process that holds the state folder, 0: nobody
    cgroup    of the holder
    """

    unit: Mapping[str, str]
    holder: int
    cgroup: str


def read(holder: int, root: Path = Path("/")) -> Service:
    return Service(unit=ask(), holder=holder, cgroup=_cgroup(root, holder))


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
            "journalctl -u lineside -n 50 says why; then: systemctl restart lineside",
        )
    elif unit.get("ActiveState") != "active":
        yield error(f"the unit is {unit.get('ActiveState', 'unknown')}", "sudo systemctl start lineside")
    if unit.get("UnitFileState") not in ("enabled", "static", "enabled-runtime", "alias"):
        yield warning("the unit is not enabled: after a power cut no gateway starts", "sudo systemctl enable lineside")
    if unit.get("WatchdogUSec") in ("0", "infinity"):
        yield warning(
            "the unit has no watchdog: a gateway that hangs goes on hanging", "take the unit of this version: systemd/lineside.service"
        )
    if int(unit.get("NRestarts", "0") or 0) >= MANY_RESTARTS:
        yield warning(f"the gateway was started again {unit['NRestarts']} times", "journalctl -u lineside -p err says why it ends")
    if service.holder and int(unit.get("MainPID", "0") or 0) not in (0, service.holder):
        yield error(
            f"another process (pid {service.holder}) holds the state folder, not the unit's: a second gateway was started by hand",
            f"stop that one: kill {service.holder}",
        )
    elif service.holder and unit.get("MainPID") == "0":
        yield error(
            f"a gateway that was started by hand (pid {service.holder}) holds the state folder: the unit cannot start",
            f"kill {service.holder}, then: systemctl start lineside",
        )


def _cgroup(root: Path, pid: int) -> str:
    try:
        return (root / "proc" / str(pid) / "cgroup").read_text(encoding="utf-8") if pid else ""
    except OSError:
        return ""
