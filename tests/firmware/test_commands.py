"""Commands of ours that the settings run: they exist, with these options, and do what the READMEs say."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from gateway.cli import main
from gateway.life.claim import read_code

LINESIDE = "/usr/bin/lineside"


def test_an_update_is_kept_when_the_gateway_is_healthy_and_not_awaited_longer_than_the_unit_may_take(
    firmware: Path, tmp_path: Path
) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(firmware / "ota/lineside-mark-good.service")
    code, told = mark_good(firmware, tmp_path, configured=True)
    command, *arguments = told.split()
    assert (code, command) == (0, "health")
    found = main.get_command(click.Context(main), command)
    assert found is not None
    context = found.make_context(command, arguments)
    assert context.params["file"] == Path("/etc/lineside/lineside.yaml")
    assert 60 <= context.params["wait_seconds"] < float(parser["Service"]["TimeoutStartSec"])


def test_a_device_that_waits_for_its_configuration_does_not_use_up_the_tries_of_its_boot_loader(firmware: Path, tmp_path: Path) -> None:
    """Started twice before somebody commissioned it, it went on to the other slot, where nothing need be yet."""
    assert mark_good(firmware, tmp_path, configured=False) == (0, "")
    assert mark_good(firmware, tmp_path, configured=False, mounted=False) == (0, "health --wait 120"), "it may be the update that lost it"


def mark_good(firmware: Path, folder: Path, *, configured: bool, mounted: bool = True) -> tuple[int, str]:
    """What is asked before an update is kept: the exit code, and what `lineside` was told."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(firmware / "ota/lineside-mark-good.service")
    (folder / "lineside").write_text(f'#!/bin/sh\necho "$@" >{folder}/told\n')
    (folder / "mountpoint").write_text(f"#!/bin/sh\nexit {int(not mounted)}\n")
    for name in ("lineside", "mountpoint"):
        (folder / name).chmod(0o755)
    if configured:
        (folder / "lineside.yaml").touch()
    told = parser["Service"]["ExecStartPre"].replace(LINESIDE, str(folder / "lineside"))
    words = shlex.split(told.replace("/etc/lineside/lineside.yaml", str(folder / "lineside.yaml")))
    done = subprocess.run(words, check=False, timeout=30, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
    return done.returncode, (folder / "told").read_text().strip() if (folder / "told").exists() else ""


def test_the_first_boot_shows_a_code_that_a_console_can_read(firmware: Path, tmp_path: Path) -> None:
    steps = yaml.safe_load((firmware / "cloud-init/user-data").read_text())["runcmd"]
    number, (shell, flag, line) = next((n, step) for n, step in enumerate(steps) if "enrol" in step[-1])
    assert steps[number - 1] == ["install", "-d", "-o", "lineside", "-g", "lineside", "-m", "0700", "/var/lib/lineside"]  # it makes none
    (tmp_path / "state").mkdir()
    program = tmp_path / "lineside"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from gateway.cli import main; main()' \"$@\" --config {tmp_path}/none.yaml\n")
    program.chmod(0o755)
    places = {
        LINESIDE: program,
        "/var/lib/lineside": tmp_path / "state",
        "/etc/issue.d": tmp_path / "issue.d",
        "/dev/console": tmp_path / "tty",
    }
    for there, here in places.items():
        assert there in line
        line = line.replace(there, str(here))
    done = subprocess.run([shell, flag, line], capture_output=True, text=True, timeout=30, check=True)
    shown = (tmp_path / "issue.d/60-lineside.issue").read_text()
    assert shown == done.stdout == (tmp_path / "tty").read_text()
    (code,) = [words.split()[-1] for words in shown.splitlines() if words.startswith("claim code")]
    assert len(read_code(code)) == 16
    assert number < len(steps) - 1  # before the gateway starts


@pytest.mark.parametrize(("reached", "deleted"), [(True, False), (False, True)])
def test_the_way_back_from_a_firewall_is_taken_only_by_whom_it_locked_out(
    firmware: Path, tmp_path: Path, reached: bool, deleted: bool
) -> None:
    """Who can still come in ends the `sleep`, and the rules stay."""
    found = re.search(r"`(nft -f [^`]*sleep 60[^`]*)`", (firmware / "nftables/README.md").read_text())
    assert found is not None
    (tmp_path / "nft").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/told\n')
    (tmp_path / "sleep").write_text(f"#!/bin/sh\n{'kill -TERM $$' if reached else ':'}\n")
    for name in ("nft", "sleep"):
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", found[1]], check=False, timeout=30, env=env, capture_output=True)
    told = (tmp_path / "told").read_text().splitlines()
    assert told == ["-f /etc/nftables.conf", *(["delete table inet lineside"] if deleted else [])]


STUBS = "apt-get chown lineside mkfs.ext4 mount systemctl umount"


def test_the_code_is_made_when_a_time_server_has_had_its_chance_and_not_much_later(firmware: Path) -> None:
    """A board without a battery has the time of its image at first: a code that is void a week after that was void when it was shown."""
    steps = yaml.safe_load((firmware / "cloud-init/user-data").read_text())["runcmd"]
    number = next(n for n, step in enumerate(steps) if "enrol" in step[-1])
    ((program, seconds, *words),) = [step for step in steps[:number] if LINESIDE in step]
    assert (program, words[:2]) == ("timeout", [LINESIDE, "clock"])
    assert 30 <= int(seconds) <= 120
    command = main.get_command(click.Context(main), words[1])
    assert command is not None
    assert command.make_context(words[1], words[2:]).params["mark"] is not None


def test_what_a_gateway_has_comes_along_to_the_partition_of_its_own(firmware: Path, tmp_path: Path) -> None:
    """Behind the mount its events and its key would not be seen any more; and it must not write while they are copied."""
    block = re.search(r"```sh\n(.*?)```", (firmware / "overlayroot/README.md").read_text(), re.DOTALL)
    assert block is not None
    for path, text in (("etc/lineside/lineside.yaml", "version: 1"), ("var/lib/lineside/pki/device.key.pem", "key"), ("mnt/lost", "")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    for name in STUBS.split():
        copied = f"$(test -e {tmp_path}/mnt/state/pki && echo copied)"
        (tmp_path / name).write_text(f'#!/bin/sh\necho "${{0##*/}} $* {copied}" >>{tmp_path}/told\n')
        (tmp_path / name).chmod(0o755)
    script = re.sub(r"(?<![\w/])/(etc/lineside|var/lib/lineside|mnt)\b", rf"{tmp_path}/\1", block[1])
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", script], check=True, timeout=30, env=env, capture_output=True)
    assert (tmp_path / "mnt/state/pki/device.key.pem").read_text() == "key"
    assert (tmp_path / "mnt/config/lineside.yaml").read_text() == "version: 1"
    told = (tmp_path / "told").read_text().splitlines()
    assert any(line.startswith("systemctl stop lineside ") for line in told)
    assert not any(line.startswith("lineside ") and line.endswith("copied") for line in told), "what it notes itself would be left behind"
