"""`lineside firmware apply`: shows, writes, and finds nothing to do the second time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.firmware import load_manifest

Apply = Callable[..., Result]
PARTS = tuple(load_manifest(Path(__file__).parents[2] / "firmware-config"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def apply(root: Path, firmware: Path) -> Apply:
    """Of this checkout; a venv may hold what it was made with."""
    return lambda *arguments: CliRunner().invoke(main, ["firmware", "apply", "--from", str(firmware), "--root", str(root), *arguments])


def files(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o777) for path in root.rglob("*") if path.is_file()}


def test_a_dry_run_shows_the_difference_and_writes_nothing(root: Path, apply: Apply) -> None:
    done = apply("journald", "--dry-run")
    assert done.exit_code == 1
    assert "+++ /etc/systemd/journald.conf.d/lineside.conf\n" in done.stdout
    assert "\n+SystemMaxUse=200M\n" in done.stdout
    assert files(root) == {}


def test_without_a_terminal_nobody_is_asked_and_nothing_is_written(root: Path, apply: Apply) -> None:
    done = apply()
    assert done.exit_code == 1
    assert "nothing was written" in done.stderr
    assert files(root) == {}


@pytest.mark.parametrize("board", ["rpi", "ipc"])
def test_what_was_applied_is_as_it_should_be(root: Path, apply: Apply, board: str) -> None:
    assert apply(*PARTS, "--board", board, "--yes").exit_code == 0
    before = files(root)
    again = apply(*PARTS, "--board", board, "--yes")
    assert (again.exit_code, again.stdout) == (0, "everything is as it should be\n")
    assert files(root) == before
    assert before["etc/sudoers.d/lineside"][1] == 0o440
    assert before["etc/NetworkManager/system-connections/lineside-lte.nmconnection"][1] == 0o600
    assert ("boot/firmware/config.txt" in before) == (board == "rpi")


def test_what_could_lock_somebody_out_is_only_applied_by_name(root: Path, apply: Apply) -> None:
    apply("--yes")
    assert not any("nftables" in name or "NetworkManager" in name or "overlayroot" in name for name in files(root))
    apply("nftables", "--yes")
    assert "etc/nftables.d/lineside.nft" in files(root)


def test_a_file_that_is_the_owners_is_left_alone(root: Path, apply: Apply) -> None:
    (root / "etc/nftables.d").mkdir(parents=True)
    (root / "etc/nftables.d/lineside.nets").write_text("define admin_nets = { 10.9.0.0/24 }\n")
    done = apply("nftables", "--yes")
    assert (root / "etc/nftables.d/lineside.nets").read_text() == "define admin_nets = { 10.9.0.0/24 }\n"
    assert "admin_nets = { 192" not in done.stdout


def test_a_file_that_was_there_before_ours_is_named(root: Path, apply: Apply) -> None:
    """An image that brings a user-data of its own boots without our account: whoever applied ours has to know."""
    (root / "boot/firmware").mkdir(parents=True)
    (root / "boot/firmware/user-data").write_text("#cloud-config\n")
    for words in (("--dry-run",), ("--yes",), ("--yes",)):
        done = apply("cloud-init", "--board", "rpi", *words)
        assert [line for line in done.stdout.splitlines() if line.startswith("left")] == [
            "left as it is, because it is yours: /boot/firmware/user-data"
        ]
    assert done.exit_code == 0


def test_lines_are_added_once_to_a_file_of_others_that_keeps_the_rest(root: Path, apply: Apply) -> None:
    config = root / "boot/firmware/config.txt"
    config.parent.mkdir(parents=True)
    config.write_text("camera_auto_detect=1\n[cm5]\ndtoverlay=dwc2")
    for _ in range(2):
        assert apply("rpi", "--yes").exit_code == 0
    assert config.read_text() == "camera_auto_detect=1\n[cm5]\ndtoverlay=dwc2\n[all]\ninclude lineside.txt\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("flush ruleset\n", 'flush ruleset\ninclude "/etc/nftables.d/*.nft"\n'),
        ('#include "/etc/nftables.d/*.nft"\n', '#include "/etc/nftables.d/*.nft"\ninclude "/etc/nftables.d/*.nft"\n'),
        ('flush ruleset\ninclude "/etc/nftables.d/*.nft"', None),
        ('include "/etc/nftables.d/*.nft" \nflush ruleset\n', None),
    ],
)
def test_a_line_is_there_when_a_whole_line_says_it(root: Path, apply: Apply, before: str, after: str | None) -> None:
    """Taken out with a `#` it is not; twice it would define the nets twice, and no rule would be loaded."""
    (root / "etc").mkdir()
    (root / "etc/nftables.conf").write_bytes(before.encode())
    assert apply("nftables", "--yes").exit_code == 0
    assert (root / "etc/nftables.conf").read_bytes().decode() == (before if after is None else after)


def test_nothing_that_the_machine_needs_lies_where_a_purge_or_a_restore_takes_it_away(firmware: Path) -> None:
    """A rule set whose nets are gone is not loaded, and the machine is open."""
    targets = [row.to for part in load_manifest(firmware).values() for row in part.files]
    assert [to for to in targets if to.startswith(("/etc/lineside/", "/var/lib/lineside"))] == []


def test_a_file_that_was_changed_by_hand_or_opened_too_wide_is_set_right(root: Path, apply: Apply) -> None:
    apply("sudoers.d", "--yes")
    file = root / "etc/sudoers.d/lineside"
    wanted = file.read_bytes()
    file.chmod(0o666)
    assert "mode of /etc/sudoers.d/lineside: 0666 -> 0440" in apply("sudoers.d", "--yes").stdout
    os.chmod(file, 0o600)
    file.write_text("%lineside-ops ALL = NOPASSWD: ALL\n")
    assert "-%lineside-ops ALL = NOPASSWD: ALL" in apply("sudoers.d", "--yes").stdout
    assert file.read_bytes() == wanted


def test_a_link_of_an_image_does_not_lead_into_the_running_system(root: Path, tmp_path: Path, apply: Apply) -> None:
    (tmp_path / "host").mkdir()
    (root / "etc").mkdir()
    (root / "etc/sysctl.d").symlink_to(tmp_path / "host")
    done = apply("sysctl", "--yes")
    assert (done.exit_code, list((tmp_path / "host").iterdir())) == (2, [])
    assert "leads out of" in done.stderr


def test_what_a_terminal_would_obey_is_not_printed(root: Path, apply: Apply) -> None:
    (root / "etc/sysctl.d").mkdir(parents=True)
    (root / "etc/sysctl.d/60-lineside.conf").write_text("kernel.panic = 1 \x1b[2J\n")
    assert "\x1b" not in apply("sysctl", "--dry-run").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("bogus",), "no such part: bogus; there are rpi, ipc"), (("--yes", "--dry-run"), "not both"), (("--board", "zx81"), "zx81")],
)
def test_what_cannot_be_done_is_said(apply: Apply, arguments: tuple[str, ...], said: str) -> None:
    done = apply(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_what_was_written_before_one_could_not_be_is_told_with_what_makes_it_take_effect(root: Path, apply: Apply) -> None:
    (root / "var/lib/lineside").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/sudoers.d").write_text("a file where a folder belongs")
    done = apply("sysctl", "sudoers.d", "--yes")
    (step,) = [part.then for name, part in load_manifest(Path(__file__).parents[2] / "firmware-config").items() if name == "sysctl"]
    told = ["1 file written", f"to make it take effect, in {root} and not here:", f"  {step}"]
    assert (done.exit_code, done.stdout.splitlines()[-3:]) == (2, told)
    left = root / "etc/sudoers.d/lineside"
    assert done.stderr.startswith(f"lineside: {left} cannot be written: ")
    assert done.stderr.endswith(f"; not written: {left}\n")
    assert "1 file" in (root / "var/lib/lineside/audit.pending").read_text()
    assert (root / "etc/sysctl.d/60-lineside.conf").exists()


def test_on_a_read_only_root_it_is_said_that_the_next_start_undoes_it(root: Path, apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    """overlayroot shows the root below its overlay there; a firewall that was written onto it held until the power went."""
    lower = root / "media/root-ro"
    lower.mkdir(parents=True)
    said = "the root is an overlay in memory: the next start undoes this; do it in overlayroot-chroot"
    assert said not in apply("sysctl", "--yes").stderr
    monkeypatch.setattr(Path, "is_mount", lambda path: path == lower)
    done = apply("journald", "--yes")
    assert (done.exit_code, said in done.stderr) == (0, True)


def test_a_wrong_manifest_is_said(tmp_path: Path, apply: Apply) -> None:
    (tmp_path / "manifest.yaml").write_text("udev: {files: [{file: a, to: relative}]}")
    done = apply("--from", str(tmp_path))
    assert done.exit_code == 2
    assert "manifest.yaml" in done.stderr


def test_what_reads_a_file_and_is_in_no_plain_debian_is_among_what_makes_it_take_effect(firmware: Path) -> None:
    """Applied without a word to a system with timesyncd, the clock was as it was."""
    manifest = load_manifest(firmware)
    needed = {
        "time": "chrony",
        "apt": "unattended-upgrades",
        "nftables": "nftables",
        "networkmanager": "network-manager modemmanager",
        "overlayroot": "overlayroot",
        "ota": "rauc",
    }
    for part, packages in needed.items():
        assert manifest[part].then.startswith(f"apt-get install {packages} && ")


def test_every_file_is_in_the_manifest_or_is_for_the_builder_and_every_folder_says_what_it_is(firmware: Path) -> None:
    manifest = load_manifest(firmware)
    wanted = {f"{name}/{row.file}" for name, part in manifest.items() for row in part.files}
    wanted |= {f"{name}/README.md" for name in manifest} | {"README.md", "manifest.yaml", "ota/manifest.raucm"}
    assert {str(path.relative_to(firmware)) for path in firmware.rglob("*") if path.is_file()} == wanted
    overview = (firmware / "README.md").read_text()
    assert [name for name in manifest if f"[{name}]({name}/README.md)" not in overview] == []
