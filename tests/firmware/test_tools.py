"""Each file as the program reads it that it is made for, and that this program would notice a mistake."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.firmware import load_manifest

Tool = Callable[..., subprocess.CompletedProcess[str]]
Installed = Callable[[str], str]
NETWORK, MOUNTS = ("unshare", "--map-root-user", "--net"), ("unshare", "--map-root-user", "--mount")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs of Linux")


def test_sudoers(tool: Tool, firmware: Path, tmp_path: Path) -> None:
    text = (firmware / "sudoers.d/lineside").read_text()
    for name, given, code in (("good", text, 0), ("bad", text.replace("NOPASSWD:", "NOPASWD:"), 1)):
        (tmp_path / name).write_text(given)
        (tmp_path / name).chmod(0o440)
        assert tool("visudo", "-c", "-f", tmp_path / name).returncode == code
    assert "*" not in text.split("Cmnd_Alias")[1]  # no argument can be added


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("restart lineside", True),
        ("reload lineside.service", True),
        ("start lineside", True),
        ("stop lineside.service", True),
        ("restart lineside ssh", False),
        ("restart lineside@press", False),
        ("edit lineside", False),
        ("--root=/tmp start lineside", False),
    ],
)
def test_sudo_allows_operations_what_the_documentation_tells_them_to_type(
    installed: Installed, firmware: Path, tmp_path: Path, words: str, allowed: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may ask sudo about others")
    (tmp_path / "group").write_text("root:x:0:\nlineside-ops:x:999:nobody\nnogroup:x:65534:\n")
    (tmp_path / "sudoers").write_text('Defaults secure_path="/usr/sbin:/usr/bin"\n' + (firmware / "sudoers.d/lineside").read_text())
    (tmp_path / "sudoers").chmod(0o440)
    script = 'mount --bind "$1/group" /etc/group && mount --bind "$1/sudoers" /etc/sudoers && exec "$0" -n -l -U nobody systemctl $2'
    command = ["unshare", "--mount", "sh", "-c", script, installed("sudo"), str(tmp_path), words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((0, f"/usr/bin/systemctl {words}\n") if allowed else (1, "")), done.stderr


def test_nftables(tool: Tool, firmware: Path, tmp_path: Path) -> None:
    rules = (
        (firmware / "nftables/lineside.nft").read_text().replace("/etc/nftables.d/lineside.nets", str(firmware / "nftables/lineside.nets"))
    )
    (tmp_path / "good.nft").write_text(rules)
    (tmp_path / "bad.nft").write_text(rules.replace("policy drop", "policy dorp"))
    good = tool("nft", "-c", "-f", tmp_path / "good.nft", within=NETWORK)
    assert (good.returncode, good.stdout) == (0, "")
    assert tool("nft", "-c", "-f", tmp_path / "bad.nft", within=NETWORK).returncode == 1


def test_nftables_twice_leaves_one_table_that_lets_in_what_it_says(installed: Installed, firmware: Path, tmp_path: Path) -> None:
    rules = (
        (firmware / "nftables/lineside.nft").read_text().replace("/etc/nftables.d/lineside.nets", str(firmware / "nftables/lineside.nets"))
    )
    (tmp_path / "rules.nft").write_text(rules)
    script = f'"$0" -f {tmp_path}/rules.nft && "$0" -f {tmp_path}/rules.nft && "$0" list ruleset'
    done = subprocess.run([*NETWORK, "sh", "-c", script, installed("nft")], capture_output=True, text=True, check=True)
    assert done.stdout.count("table inet lineside") == 1
    assert done.stdout.count("policy drop") == 2
    assert [line.split("ct state")[0].strip() for line in done.stdout.splitlines() if "tcp dport" in line] == [
        "ip saddr @admin tcp dport 22",
        "ip saddr @page tcp dport 8080",
    ]


@pytest.mark.parametrize("name", ["lineside.conf", "lineside.sources"])
def test_chrony(tool: Tool, firmware: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "read"
    for given, code in (((firmware / "time" / name).read_text().replace("#server", "server"), 0), ("makestap 1.0 3\n", 1)):
        file.write_text(given)
        assert tool("chronyd", "-p", "-f", file).returncode == code


def test_a_clock_that_was_alone_for_two_months_is_put_right_again(firmware: Path) -> None:
    """chronyd ignores what is further off than maxchange, for ever with -1: that must be more than a cheap crystal drifts (10 ppm)."""
    found = re.search(r"^maxchange (\S+) \d+ -1$", (firmware / "time/lineside.conf").read_text(), re.MULTILINE)
    assert found is not None
    assert float(found[1]) > 60 * 86_400 * 10e-6


def test_udev_rules(installed: Installed, firmware: Path, tmp_path: Path) -> None:
    """`udevadm verify` is newer than Debian 12; `test` reads all rules, too, and names what it does not know."""
    wrong = (firmware / "udev/65-lineside-serial.rules").read_text().replace("SYMLINK", "SYMLNK")
    (tmp_path / "99-canary.rules").write_text(wrong)
    script = (
        "mkdir -p /run/udev; mount -t tmpfs none /run/udev && mkdir /run/udev/rules.d && "
        'cp "$0"/*.rules "$1" /run/udev/rules.d && "$2" test /sys/devices/virtual/mem/null'
    )
    done = subprocess.run(
        [*MOUNTS, "sh", "-c", script, str(firmware / "udev"), str(tmp_path / "99-canary.rules"), installed("udevadm")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    about = [line for line in done.stdout.splitlines() if line.startswith("/run/udev/rules.d/")]
    # The accounts are the image's.
    about = [line.removeprefix("/run/udev/rules.d/") for line in about if "Unknown group" not in line]
    assert [line.split(":")[0] for line in about] == ["99-canary.rules"]
    assert "SYMLNK" in about[0]


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that the user nobody may read: systemd does not test as root."""
    with tempfile.TemporaryDirectory(prefix="lineside-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("board", ["rpi", "ipc"])
def test_systemd_knows_the_settings_of_the_watchdog(tool: Tool, firmware: Path, readable: Path, board: str) -> None:
    """`systemd-analyze cat-config` only prints; a user's manager reads the same keys, and complains."""
    folder = readable / "systemd/user.conf.d"
    folder.mkdir(parents=True)
    (folder / "ours.conf").write_text((firmware / f"watchdog/{board}.conf").read_text())
    (folder / "zz-canary.conf").write_text("[Manager]\nRuntimeWatchdogSecs=14s\n")
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups") if os.geteuid() == 0 else ()
    done = tool("systemd", "--test", "--user", within=nobody, XDG_CONFIG_HOME=str(readable), XDG_RUNTIME_DIR=str(readable))
    about = [line.removeprefix(f"{folder}/") for line in done.stdout.splitlines() if line.startswith(str(folder))]
    assert about == ["zz-canary.conf:2: Unknown key 'RuntimeWatchdogSecs' in section [Manager], ignoring."]


def test_journald(installed: Installed, firmware: Path, tmp_path: Path) -> None:
    """The daemon itself, in a namespace of its own, until it has read the last file, which is a wrong one."""
    (tmp_path / "ours.conf").write_text((firmware / "journald/lineside.conf").read_text())
    (tmp_path / "zz-canary.conf").write_text("[Journal]\nSystemMaxUses=60M\n")
    daemon = installed("systemd-journald")
    script = (
        "mount -t tmpfs none /run; mount -t tmpfs none /var/log; mkdir -p /run/systemd/journald.conf.d; "
        'cp "$1"/*.conf /run/systemd/journald.conf.d; exec "$0"'
    )
    command = ["unshare", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, daemon, str(tmp_path)]
    env = os.environ | {"SYSTEMD_LOG_TARGET": "console"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "canary" in line:
                break
        process.kill()
    assert [line.split("/")[-1] for line in told if "journald.conf.d" in line] == [
        "zz-canary.conf:2: Unknown key 'SystemMaxUses' in section [Journal], ignoring.\n"
    ]


def test_what_is_said_to_be_written_at_once_is_what_journald_writes_at_once(firmware: Path) -> None:
    """journald.conf(5), SyncIntervalSec: "CRIT, ALERT or EMERG"; what is an error waits like the rest."""
    for name in ("lineside.conf", "README.md"):
        text = (firmware / "journald" / name).read_text()
        assert re.findall(r"riority `?(\w+)`? and worse", text) == ["crit"]


def test_sysctl(tool: Tool, firmware: Path) -> None:
    file = firmware / "sysctl/60-lineside.conf"
    done = tool("sysctl", "--dry-run", "-p", file)
    assert done.returncode == 0
    keys = [line.split(" = ")[0] for line in done.stdout.splitlines()]
    assert len(keys) > 10
    assert [key for key in keys if not Path("/proc/sys", *key.split(".")).exists()] == []


def test_sysctl_closes_every_interface_also_one_that_comes_later(installed: Installed, firmware: Path, tmp_path: Path) -> None:
    """In a net of its own; nothing else of the file is the net's."""
    lines = (firmware / "sysctl/60-lineside.conf").read_text().splitlines()
    (tmp_path / "net.conf").write_text("\n".join(line for line in lines if ".conf." in line))
    script = '"$0" link add early type veth && "$1" -q -p "$2" && "$0" link add late type veth && "$1" -a -r "conf.(early|late)"'
    words = ["sh", "-c", script, installed("ip"), installed("sysctl"), str(tmp_path / "net.conf")]
    done = subprocess.run([*NETWORK, *words], capture_output=True, text=True, check=True)
    wanted = (
        "ipv4.conf.{}.accept_redirects",
        "ipv4.conf.{}.send_redirects",
        "ipv4.conf.{}.accept_source_route",
        "ipv6.conf.{}.accept_redirects",
    )
    found = dict(line.split(" = ") for line in done.stdout.splitlines())
    assert {found["net." + key.format(name)] for name in ("early", "late") for key in wanted} == {"0"}


def test_a_cut_connection_fails_when_the_comment_says(firmware: Path) -> None:
    """The kernel doubles its first 0.2 s at each attempt."""
    text = (firmware / "sysctl/60-lineside.conf").read_text()
    retries, said = re.search(r"tcp_retries2 = (\d+)", text), re.search(r"fails after about (\d+) s", text)
    assert retries is not None
    assert said is not None
    assert ((2 << int(retries[1])) - 1) * 0.2 == pytest.approx(int(said[1]), rel=0.05)


@pytest.mark.parametrize("name", ["lan", "lte"])
def test_networkmanager_takes_every_value_of_a_connection(tool: Tool, firmware: Path, name: str) -> None:
    """It drops a value it does not like, and says nothing: so what comes out is held to what went in."""
    text = (firmware / f"networkmanager/{name}.nmconnection").read_text()
    done = tool("nmcli", "--offline", "connection", "modify", "connection.stable-id", "x", text=text)
    assert done.returncode == 0
    given, taken = parsed(text), parsed(done.stdout)
    assert given.items() <= taken.items()
    wrong = tool("nmcli", "--offline", "connection", "modify", "connection.stable-id", "x", text=text.replace("metric=", "metrics="))
    assert ("ipv4", "route-metrics") not in parsed(wrong.stdout)


def parsed(text: str) -> dict[tuple[str, str], str]:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.read_string(text[text.index("[") :])
    return {(section, key): value for section in parser.sections() for key, value in parser[section].items()}


def test_the_lan_goes_before_lte(firmware: Path) -> None:
    lan, lte = (parsed((firmware / f"networkmanager/{name}.nmconnection").read_text()) for name in ("lan", "lte"))
    for family in ("ipv4", "ipv6"):
        assert int(lan[family, "route-metric"]) < int(lte[family, "route-metric"])


def test_the_check_of_the_connection_is_on_with_the_file_that_the_readme_tells_one_to_write(
    tool: Tool, firmware: Path, tmp_path: Path
) -> None:
    """NetworkManager itself reads both, ours with enabled=false among them."""
    found = re.search(
        r"`/etc/NetworkManager/conf\.d/(\S+)`.*?```ini\n(.*?)```", (firmware / "networkmanager/README.md").read_text(), re.DOTALL
    )
    assert found is not None
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "NetworkManager.conf").touch()
    (tmp_path / "conf.d" / found[1]).write_text(found[2])
    (tmp_path / "conf.d/lineside.conf").write_text((firmware / "networkmanager/lineside.conf").read_text())
    where = {"config": "NetworkManager.conf", "config-dir": "conf.d", "system-config-dir": "none"}
    done = tool("NetworkManager", "--print-config", *(f"--{name}={tmp_path / path}" for name, path in where.items()))
    read = parsed(done.stdout)
    assert (read["connectivity", "enabled"], read["main", "no-auto-default"]) == ("true", "*")
    assert read["connectivity", "uri"].startswith("http://")


def test_every_ethernet_port_gets_the_lan_and_new_connections_are_read(firmware: Path) -> None:
    """One profile is active at one device unless it says multi-connect; a reload of NetworkManager reads no connections (its man page)."""
    assert parsed((firmware / "networkmanager/lan.nmconnection").read_text())["connection", "multi-connect"] == "3"
    steps = load_manifest(firmware)["networkmanager"].then.split(" && ")
    assert steps[-2:] == ["systemctl reload NetworkManager", "nmcli connection reload"]


@pytest.mark.parametrize("name", ["user-data", "60-lineside.cfg"])
def test_cloud_init(tool: Tool, firmware: Path, tmp_path: Path, name: str) -> None:
    text = (firmware / "cloud-init" / name).read_text()
    (tmp_path / "bad").write_text(text.replace("ssh_pwauth: false", "ssh_pwauth: {never: again}"))
    assert tool("cloud-init", "schema", "--config-file", firmware / "cloud-init" / name).returncode == 0
    assert tool("cloud-init", "schema", "--config-file", tmp_path / "bad").returncode == 1


SEED = """
import sys
from cloudinit import helpers
from cloudinit.sources.DataSourceNoCloud import DataSourceNoCloud
paths = helpers.Paths({"cloud_dir": sys.argv[1], "run_dir": sys.argv[1]})
source = DataSourceNoCloud({"datasource": {"NoCloud": {"fs_label": None}}}, None, paths)
print(source._get_data(), source.dsmode, (source.userdata_raw or b"").count(b"name: ops"))
"""


def test_cloud_init_takes_what_is_applied_for_the_first_boot(installed: Installed, firmware: Path, tmp_path: Path) -> None:
    """Where the seed of an industrial PC lies, without waiting for a network."""
    installed("cloud-init")
    words = ["firmware", "apply", "--from", str(firmware), "--root", str(tmp_path), "--board", "ipc", "--yes", "cloud-init"]
    assert CliRunner().invoke(main, words).exit_code == 0
    words = ["/usr/bin/python3", "-c", SEED, str(tmp_path / "var/lib/cloud")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "True local 1\n"


def test_apt_takes_security_updates_only(tool: Tool, firmware: Path, tmp_path: Path) -> None:
    """Read after what Debian's package brings, as on the machine."""
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "50unattended-upgrades").write_text('Unattended-Upgrade::Origins-Pattern { "origin=Debian,label=Debian"; };\n')
    (parts / "52lineside-unattended").write_text((firmware / "apt/52lineside-unattended").read_text())
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::parts "{parts}";\n')
    dumped = tool("apt-config", "dump", APT_CONFIG=str(tmp_path / "apt.conf"))
    assert dumped.returncode == 0
    lines = dumped.stdout.splitlines()
    assert [line for line in lines if line.startswith("Unattended-Upgrade::Origins-Pattern::")] == [
        'Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";'
    ]
    assert 'Unattended-Upgrade::Package-Blacklist:: "^lineside";' in lines
    (parts / "52lineside-unattended").write_text('APT::Periodic { "1"\n')
    assert tool("apt-config", "dump", APT_CONFIG=str(tmp_path / "apt.conf")).returncode != 0


def test_on_a_read_only_root_nothing_is_installed_at_night(tool: Tool, firmware: Path, tmp_path: Path) -> None:
    """It would be gone after the restart that it asked for, and be installed the next night, with another restart."""
    parts = tmp_path / "parts"
    parts.mkdir()
    manifest = load_manifest(firmware)
    for part in ("apt", "overlayroot"):
        for row in manifest[part].files:
            if row.to.startswith("/etc/apt/apt.conf.d/"):
                (parts / Path(row.to).name).write_text((firmware / part / row.file).read_text())
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::parts "{parts}";\n')
    dumped = tool("apt-config", "dump", APT_CONFIG=str(tmp_path / "apt.conf")).stdout.splitlines()
    assert {'APT::Periodic::Unattended-Upgrade "0";', 'APT::Periodic::Update-Package-Lists "0";'} <= set(dumped)


def test_units(tool: Tool, firmware: Path, tmp_path: Path) -> None:
    for name in ("data.mount", "var-lib-lineside.mount", "etc-lineside.mount"):
        (tmp_path / name).write_text((firmware / "overlayroot" / name).read_text())
    (tmp_path / "lineside.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    (tmp_path / "lineside.service.d").mkdir()
    (tmp_path / "lineside.service.d/50-data.conf").write_text((firmware / "overlayroot/service.conf").read_text())
    (tmp_path / "lineside@press.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    (tmp_path / "lineside@.service.d").mkdir()
    (tmp_path / "lineside@.service.d/50-data.conf").write_text((firmware / "overlayroot/instance.conf").read_text())
    (tmp_path / "lineside-backup.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    (tmp_path / "lineside-backup.service.d").mkdir()
    (tmp_path / "lineside-backup.service.d/50-data.conf").write_text((firmware / "overlayroot/backup.conf").read_text())
    (tmp_path / "apt-daily-upgrade.service").write_text("[Service]\nExecStart=/bin/true\n")
    (tmp_path / "apt-daily-upgrade.timer").write_text("[Timer]\nOnCalendar=daily\n" + (firmware / "apt/timer.conf").read_text())
    mark = (firmware / "ota/lineside-mark-good.service").read_text()
    (tmp_path / "lineside-mark-good.service").write_text(re.sub("(/usr/bin/lineside|/usr/bin/rauc)", "/bin/true", mark))
    units = [path for path in sorted(tmp_path.iterdir()) if path.is_file()]
    done = tool("systemd-analyze", "verify", "--man=no", *units, SYSTEMD_UNIT_PATH=f"{tmp_path}:")
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "data.mount").write_text((tmp_path / "data.mount").read_text().replace("Where=/data", "Where=/elsewhere"))
    assert tool("systemd-analyze", "verify", "--man=no", tmp_path / "data.mount", SYSTEMD_UNIT_PATH=f"{tmp_path}:").stdout != ""


def test_a_second_gateway_does_not_start_on_the_overlay_either(tool: Tool, firmware: Path, tmp_path: Path) -> None:
    """Its state is no part of the first one's mount; `systemd-analyze condition` looks as the start does."""
    text = (firmware / "overlayroot/instance.conf").read_text()
    (said,) = re.findall(r"^AssertPathIsMountPoint=(.*)$", text, re.MULTILINE)
    assert said == "/var/lib/lineside-%i"
    for path, code in (("/proc", 0), (str(tmp_path), 1)):
        assert tool("systemd-analyze", "condition", f"AssertPathIsMountPoint={path}").returncode == code
    for row in load_manifest(firmware)["overlayroot"].files:
        assert not row.file.endswith("instance.conf") or row.to == "/etc/systemd/system/lineside@.service.d/50-data.conf"


def test_no_backup_is_written_into_the_memory_that_is_the_overlay(firmware: Path) -> None:
    """Seven of them, each as large as the outbox, where nothing is mounted for them."""
    rows = {row.to: row.file for row in load_manifest(firmware)["overlayroot"].files}
    for unit in ("lineside-backup", "lineside-backup@"):
        text = (firmware / "overlayroot" / rows[f"/etc/systemd/system/{unit}.service.d/50-data.conf"]).read_text()
        assert "\nConditionPathIsMountPoint=/var/backups/lineside\n" in text


def test_the_data_partition_is_checked_before_it_is_mounted(firmware: Path) -> None:
    """What fstab names is by itself; a mount unit has to say it."""
    text = (firmware / "overlayroot/data.mount").read_text()
    for key in ("Requires", "After"):
        assert f"{key}=systemd-fsck@dev-disk-by\\x2dlabel-LINESIDE.service\n" in text


def test_shell_reads_the_settings_of_boot_and_overlay(firmware: Path) -> None:
    """GRUB's and overlayroot's scripts source them."""

    def shell(file: str, show: str, **env: str) -> str:
        return subprocess.run(
            ["sh", "-euc", f'. "$1"; echo "{show}"', "sh", str(firmware / file)], capture_output=True, text=True, check=True, env=env
        ).stdout.strip()

    assert shell("ipc/grub.cfg", "$GRUB_CMDLINE_LINUX", GRUB_CMDLINE_LINUX="quiet") == "quiet panic=10"
    assert shell("ipc/grub.cfg", "$GRUB_CMDLINE_LINUX") == "panic=10"
    assert shell("overlayroot/lineside.conf", "$overlayroot") == "tmpfs:recurse=0"
