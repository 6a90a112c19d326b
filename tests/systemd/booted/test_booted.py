"""The shipped unit under a real systemd. Times are told by `pytest -s`, and held to limits that a busy machine keeps."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)


def restarted(lab: Any, before: str) -> bool:
    return lab.shown("MainPID") not in ("0", before) and lab.shown("ActiveState") == "active"


def test_without_a_configuration_it_waits(lab: Any) -> None:
    assert lab.systemctl("start", "lineside") == 0
    assert lab.shown("ActiveState") == "inactive"
    assert lab.shown("ConditionResult") == "no"


def test_starts_with_its_credential_and_stops_within_ten_seconds(running: Any) -> None:
    assert running.shown("ActiveState") == "active"
    assert "sources" in running.shown("StatusText")
    started = time.monotonic()
    assert running.systemctl("stop", "lineside") == 0
    assert time.monotonic() - started < 10
    assert running.shown("Result") == "success"
    assert "canary-42" not in running.journal()


def test_a_good_reload_is_done_and_a_bad_one_fails_and_the_old_runs_on(running: Any) -> None:
    pid = running.shown("MainPID")
    file = running.root / "etc/lineside/lineside.yaml"
    good = file.read_text()
    file.write_text(good.replace("high: 70", "high: 60"))
    assert running.systemctl("reload", "lineside") == 0
    file.write_text(good.replace("high:", "hihg:"))
    assert running.systemctl("reload", "lineside") == 1
    assert (running.shown("MainPID"), running.shown("ActiveState")) == (pid, "active")
    assert "hihg" in running.journal("-u", "lineside")


def test_killed_it_is_started_again(running: Any) -> None:
    pid = running.shown("MainPID")
    running.inside("kill", "-9", pid)
    print("kill -9: active again after", running.until(lambda: restarted(running, pid), 30))


def test_hung_it_is_ended_by_the_watchdog_and_started_again(running: Any) -> None:
    pid = running.shown("MainPID")
    running.inside("kill", "-STOP", pid)
    print("SIGSTOP: active again after", running.until(lambda: restarted(running, pid), 60))
    assert "Watchdog timeout" in running.journal("-u", "lineside")


def test_the_journal_has_priorities(running: Any) -> None:
    lines = [json.loads(line) for line in running.journal("-o", "json", f"_PID={running.shown('MainPID')}").splitlines()]
    ready = [line for line in lines if line["MESSAGE"].startswith("ready")]
    assert [line["PRIORITY"] for line in ready] == ["6"]
    assert {line["_SYSTEMD_UNIT"] for line in lines} == {"lineside.service"}


def test_the_sandbox_holds(running: Any) -> None:
    """The unit with another program in it: what it may open."""
    probe = "for each in /dev/null /dev/hwrng; do (: < $each) 2>/dev/null && echo $each open || echo $each shut; done; touch /etc/x; true"
    unit = (running.root / "usr/lib/systemd/system/lineside.service").read_text()
    kept = [
        line for line in unit.splitlines() if not line.startswith(("Type=", "Exec", "Restart", "WatchdogSec", "StateDir", "RuntimeDir"))
    ]
    at = kept.index("[Service]") + 1
    kept[at:at] = ["Type=oneshot", f"ExecStart=/bin/sh -c '{probe.replace('$', '$$')}'"]
    running.write("/etc/systemd/system/probe.service", "\n".join(kept))
    running.inside("mknod", "-m", "666", "/dev/hwrng", "c", "10", "183")
    running.systemctl("daemon-reload")
    assert running.systemctl("start", "probe") == 0
    said = running.journal("-u", "probe", "-o", "cat")
    assert "/dev/null open" in said
    assert "/dev/hwrng shut" in said
    assert "Read-only file system" in said


def test_a_second_gateway_is_refused_the_first_ones_state_and_runs_with_its_own(running: Any) -> None:
    text = (running.root / "etc/lineside/lineside.yaml").read_text()
    shared = "/etc/systemd/system/lineside@two.service.d/20-shared.conf"
    running.write("/etc/lineside/two.yaml", text)
    running.inside("chown", "root:lineside", "/etc/lineside/two.yaml")
    running.write(shared, "[Service]\nStateDirectory=lineside\n")
    running.systemctl("daemon-reload")
    assert running.systemctl("start", "lineside@two") == 1
    assert running.shown("ExecMainStatus", "lineside@two") == "2"
    assert "another gateway runs with the state folder" in running.journal("-u", "lineside@two")
    assert running.shown("ActiveState") == "active"
    (running.root / shared.lstrip("/")).unlink()
    own = text.replace("lab-01", "lab-02")
    running.write("/etc/lineside/two.yaml", own + "gateway: {state_dir: /var/lib/lineside-two, page: {port: 8081}}\n")
    running.systemctl("daemon-reload")
    assert running.systemctl("start", "lineside@two") == 0
    assert running.systemctl("start", "lineside-backup@two") == 0, running.journal("-u", "lineside-backup@two", "-n", "20")
    assert "read back and sound" in running.journal("-u", "lineside-backup@two", "-o", "cat")
    assert running.systemctl("enable", "--now", "lineside-backup@two.timer") == 0
    assert running.shown("ActiveState", "lineside-backup@two.timer") == "active"
    assert running.systemctl("disable", "--now", "lineside-backup@two.timer") == 0
    assert running.systemctl("stop", "lineside@two") == 0


def test_an_isolated_source_is_stopped_when_it_hangs_and_started_again(running: Any) -> None:
    """Inside the sandbox, with its filter of system calls; the gateway itself goes on."""
    file, pid = running.root / "etc/lineside/lineside.yaml", running.shown("MainPID")
    text = file.read_text()
    file.write_text(text.replace('tcp://127.0.0.1:9"', 'tcp://127.0.0.1:9", isolated: true, isolated_silence: 2s'))

    def child() -> str:
        return str(running.inside("pgrep", "-P", pid).stdout.strip())

    def refused() -> int:
        lines = running.journal("-u", "lineside", f"_PID={pid}").splitlines()
        return sum("source=press-07 lost" in line and "refused" in line for line in lines)

    running.until(lambda: refused() == 1, 30)
    assert running.systemctl("reload", "lineside") == 0
    running.until(lambda: child() and refused() == 2, 30)
    first = child()
    assert running.inside("grep", "-c", "NOTIFY_SOCKET", f"/proc/{first}/environ").returncode == 1
    running.inside("kill", "-STOP", first)
    running.until(lambda: child() not in ("", first), 60)
    assert running.shown("MainPID") == pid
    assert "was stopped: no answer for 2 s" in running.journal("-u", "lineside")
    assert running.systemctl("stop", "lineside") == 0
    assert running.shown("Result") == "success"


def test_it_runs_with_the_site_drop_in(running: Any) -> None:
    site = running.root / "usr/share/lineside/systemd/50-site.conf"
    placed = running.root / "etc/systemd/system/lineside.service.d/50-site.conf"
    placed.write_text(site.read_text())
    running.systemctl("daemon-reload")
    try:
        assert running.systemctl("restart", "lineside") == 0
    finally:
        placed.unlink()
        running.systemctl("daemon-reload")


LINESIDE = "/usr/bin/lineside"


def test_a_backup_is_taken_beside_it_and_restored_over_it(running: Any) -> None:
    assert running.systemctl("start", "lineside-backup") == 0, running.journal("-u", "lineside-backup", "-n", "20")
    (backup,) = running.inside("sh", "-c", "ls /var/backups/lineside/lineside-lab-01-*.tar").stdout.split()
    assert running.inside("stat", "-c", "%U %a", backup).stdout.split() == ["lineside", "600"]
    assert running.inside(LINESIDE, "backup", "--verify", backup).returncode == 0
    refused = running.inside(LINESIDE, "restore", backup, "--yes")
    assert (refused.returncode, "another gateway runs" in refused.stderr) == (2, True)
    assert running.systemctl("stop", "lineside") == 0
    done = running.inside(LINESIDE, "restore", backup, "--yes")
    assert done.returncode == 0, done.stderr
    owners = running.inside("find", "/var/lib/lineside", "-not", "-user", "lineside").stdout
    assert owners == ""
    assert running.systemctl("start", "lineside") == 0, running.journal("-u", "lineside", "-n", "20")
    ledger = running.inside(LINESIDE, "ledger", "--state-dir", "/var/lib/lineside").stdout
    assert "restored from a backup" in ledger


def test_as_root_it_is_looked_after(running: Any) -> None:
    assert running.inside(LINESIDE, "health", "--wait", "20").returncode == 0
    told = running.inside(LINESIDE, "doctor", "--json").stdout
    checks = json.loads(told)["checks"]
    assert checks["service"] == [] or {each["what"][:24] for each in checks["service"]} == {"the unit is not enabled:"}
    assert [each for each in checks["permissions"] if each["weight"] == "error"] == []
    made = running.inside(LINESIDE, "enrol")
    assert made.returncode == 0, made.stderr
    assert running.inside("stat", "-c", "%U %a", "/var/lib/lineside/pki/device.key.pem").stdout.split() == ["lineside", "600"]
    assert running.inside(LINESIDE, "bundle", "--to", "/tmp/b.tar.gz").returncode == 0
    log = running.inside("tar", "xzOf", "/tmp/b.tar.gz", "lineside-support/journal.txt").stdout
    assert "ready" in log
    assert "canary-42" not in running.inside("sh", "-c", "tar xzOf /tmp/b.tar.gz").stdout
