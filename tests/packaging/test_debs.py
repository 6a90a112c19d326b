"""How packages are made: what of a lock fits, what goes where, what is refused. Their contents: `make deb-check`, `make lab`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from debs import trial
from debs.bundle import bundle
from debs.control import write_control
from debs.debian import needed
from debs.lock import Pin, pins
from debs.pack import pack
from debs.release import Release
from debs.sbom import sbom
from debs.split import Package, packages, split
from debs.target import RELEASES, ROOT, Target
from debs.unpack import unpack
from debs.wheels import Wheel

HERE = Target("bookworm", "amd64")
EPOCH = 1_700_000_000
LOCK = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
PyYAML==6.0.4 \\
    --hash=sha256:ee
"""


def wheel(name: str, requires: tuple[str, ...] = (), licence: str = "MIT") -> Wheel:
    metadata = Message()
    metadata["License-Expression"] = licence
    for text in requires:
        metadata["Requires-Dist"] = text
    return Wheel(Path(f"{name}.whl"), name, "1.0", hashlib.sha256(name.encode()).hexdigest(), metadata)


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def schema_error(text: str) -> object:
    """What the schema of CycloneDX says against it. The validator takes seconds to import, which is too long for each worker."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def test_of_a_lock_what_the_target_wants(tmp_path: Path) -> None:
    lock = tmp_path / "gateway.lock"
    lock.write_text(LOCK)
    for suite, version in (("bookworm", "2.4.6"), ("trixie", "2.5.5")):
        found = pins(lock, Target(suite, "arm64").environment)
        assert {name: pin.version for name, pin in found.items()} == {"numpy": version, "pyyaml": "6.0.4"}
    assert pins(lock, HERE.environment)["numpy"].text == "numpy==2.4.6 --hash=sha256:aa --hash=sha256:bb"


def test_a_line_without_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "gateway.lock"
    lock.write_text("numpy==2.4.6\n")
    with pytest.raises(SystemExit, match="not pinned with hashes"):
        pins(lock, HERE.environment)


def test_the_python_of_each_release_has_an_end() -> None:
    assert {suite: (Target(suite, "amd64").python, Target(suite, "amd64").python_after) for suite in RELEASES} == {
        "bookworm": ("3.11", "3.12"),
        "trixie": ("3.13", "3.14"),
    }
    assert "manylinux_2_28_aarch64" in Target("bookworm", "arm64").platforms
    assert "manylinux_2_38_x86_64" not in HERE.platforms  # Debian 12 has glibc 2.36


def test_a_wheel_goes_where_it_belongs_without_what_developers_need(tmp_path: Path) -> None:
    files = {
        "one/__init__.py": b"",
        "one/tests/test_one.py": b"",
        "one/fast.pyx": b"",
        "one-1.0.data/scripts/server": b"#!",
        "one-1.0.data/purelib/two.py": b"",
        "one-1.0.data/data/share/one/x.conf": b"",
        "one-1.0.data/headers/one.hpp": b"",
    }
    prefix, site = tmp_path / "prefix", tmp_path / "site"
    unpack(archive(tmp_path / "one.whl", files), prefix, site)
    found = {str(path.relative_to(tmp_path)) for top in (prefix, site) for path in top.rglob("*") if path.is_file()}
    assert found == {"prefix/bin/server", "prefix/share/one/x.conf", "site/one/__init__.py", "site/two.py"}
    assert (prefix / "bin/server").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "one-1.0.data/data/../../evil"])
def test_a_wheel_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match="leads out"):
        unpack(archive(tmp_path / "one.whl", {name: b""}), tmp_path / "prefix", tmp_path / "site")


def test_each_wheel_is_in_one_package_and_its_needs_are_before_it() -> None:
    wheels = {
        each.name: each
        for each in (
            wheel("core", ("common>=1", 'old ; python_version < "3"', "pip")),
            wheel("common", ('serial ; extra == "serial"',)),
            wheel("serial"),
            wheel("heavy", ("core", "common[serial]")),
        )
    }
    shares = split((Package("a", ("core",), 1), Package("b", ("heavy",), 1)), wheels, HERE)
    assert {name: [each.name for each in share] for name, share in shares.items()} == {"a": ["common", "core"], "b": ["heavy", "serial"]}


def test_a_requirement_that_no_lock_holds_is_refused() -> None:
    with pytest.raises(SystemExit, match="no lock holds common"):
        split((Package("a", ("core",), 1),), {"core": wheel("core", ("common",))}, HERE)


def test_the_core_does_without_what_is_large_and_all_together_stay_below_the_limit() -> None:
    core, *others = packages()
    assert not any(root.startswith(("scipy", "river")) for root in core.roots)
    assert core.megabytes + sum(each.megabytes for each in others) <= 120


def test_the_bill_of_materials_is_valid_and_the_same_each_time() -> None:
    wheels = [wheel("one"), wheel("two", licence="Apache-2.0 OR BSD-3-Clause")]
    text = sbom("lineside", "1.0+deb12", "Apache-2.0", wheels, EPOCH)
    assert schema_error(text) is None
    assert text == sbom("lineside", "1.0+deb12", "Apache-2.0", wheels, EPOCH)
    found = {component["name"]: component for component in json.loads(text)["components"]}
    assert found["one"]["purl"] == "pkg:pypi/one@1.0"
    assert found["one"]["hashes"] == [{"alg": "SHA-256", "content": wheels[0].sha256}]
    assert found["two"]["licenses"] == [{"expression": "Apache-2.0 OR BSD-3-Clause"}]


def test_bills_of_two_machines_are_not_taken_for_one() -> None:
    """Their wheels are others, so CycloneDX wants another serial number."""
    one, other = (json.loads(sbom("lineside", "1.0+deb12", "Apache-2.0", [wheel(name)], EPOCH)) for name in ("one", "two"))
    assert one["serialNumber"] != other["serialNumber"]


def test_the_bill_names_what_the_page_carries() -> None:
    """It is in no lock; only the package with the gateway has it."""
    text = sbom("lineside", "1.0", "Apache-2.0", [wheel("one")], EPOCH)
    (chart,) = [each for each in json.loads(text)["components"] if each["name"] == "uplot"]
    version = (ROOT / "gateway/web/static/vendor/uplot/VERSION").read_text().split()[1].rstrip(",")
    assert (chart["purl"], chart["licenses"]) == (f"pkg:npm/uplot@{version}", [{"license": {"id": "MIT"}}])
    assert [(each["alg"], len(each["content"])) for each in chart["hashes"]] == [("SHA-512", 128)]
    assert schema_error(text) is None
    assert "uplot" not in sbom("lineside-demo", "1.0", "Apache-2.0", [wheel("one")], EPOCH)


def test_the_schema_would_find_a_wrong_bill() -> None:
    text = sbom("lineside", "1.0", "Apache-2.0", [wheel("one")], EPOCH)
    assert schema_error(text.replace("SHA-256", "SHA-257")) is not None


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release("1.0", EPOCH, tmp_path / "lineside.whl")


@pytest.fixture
def small(tmp_path: Path) -> Callable[[str], Path]:
    """The demo's control file around one file."""

    def build(name: str) -> Path:
        tree = tmp_path / name
        (tree / "usr/share/doc/lineside-demo").mkdir(parents=True)
        (tree / "usr/share/doc/lineside-demo/copyright").write_text("x")
        write_control(tree, "lineside-demo", {"version": "1.0+deb12", "arch": "amd64", "maintainer": "a <a@example.org>"})
        pack(tree, tmp_path / f"{name}.deb", EPOCH)
        return tmp_path / f"{name}.deb"

    return build


def test_the_same_tree_gives_the_same_bytes(small: Callable[[str], Path]) -> None:
    first, second = small("first"), small("second")
    assert first.read_bytes() == second.read_bytes()
    told = subprocess.run(["dpkg-deb", "-f", str(first), "Depends", "Installed-Size"], capture_output=True, text=True, check=True).stdout
    assert "Depends: lineside (= 1.0+deb12)" in told
    assert "Installed-Size: 1" in told


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Private and public."""
    private, public = tmp_path / "release.pem", tmp_path / "release.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True, capture_output=True)
    return private, public


def install(*words: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "packaging/install.sh")
    return subprocess.run(["sh", script, "--check", *words], capture_output=True, text=True, check=False)


def test_a_signed_bundle_is_taken_with_its_key_only(
    small: Callable[[str], Path], release: Release, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    path = bundle([small("one")], HERE, release, keys[0], tmp_path)
    assert path.name == "lineside-1.0+deb12-amd64.tar"
    done = install("--key", str(keys[1]), str(path))
    assert (done.returncode, done.stdout) == (0, f"signed with {keys[1]}\ncomplete and undamaged\n")
    others = tmp_path / "others"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{others}.pem"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", f"{others}.pem", "-pubout", "-out", f"{others}.pub"], check=True, capture_output=True)
    refused = install("--key", f"{others}.pub", str(path))
    assert (refused.returncode, refused.stderr) == (
        1,
        f"lineside-install: not signed with {others}.pub; --unsigned installs it all the same\n",
    )


def test_an_unsigned_bundle_is_refused_unless_the_person_says_so(
    small: Callable[[str], Path], release: Release, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    path = bundle([small("one")], HERE, release, None, tmp_path)
    refused = install("--key", str(keys[1]), str(path))
    assert (refused.returncode, "not signed; --unsigned" in refused.stderr) == (1, True)
    assert install("--unsigned", str(path)).returncode == 0


@pytest.mark.parametrize("name", ["one.deb", "install.sh", "more.deb", "debian/Packages", "debian/libfoo_1_amd64.deb", "debian/more.deb"])
def test_a_bundle_that_was_changed_is_refused_also_unsigned(
    small: Callable[[str], Path], release: Release, tmp_path: Path, name: str
) -> None:
    """Changed, or with a package in it that nobody signed for."""
    path = bundle(
        [small("one")], HERE, release, None, tmp_path, debian=[small("libfoo_1%3a1_amd64").rename(tmp_path / "libfoo_1%3a1_amd64.deb")]
    )
    subprocess.run(["tar", "-xf", str(path), "-C", str(tmp_path)], check=True)
    unpacked = path.with_suffix("")
    with (unpacked / name).open("ab") as file:
        file.write(b"# and more")
    assert (unpacked / "SHA256SUMS").exists()
    done = subprocess.run(["sh", str(unpacked / "install.sh"), "--check", "--unsigned"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is damaged" in done.stderr or "is not among the sums" in done.stderr


def test_of_debian_is_fetched_what_the_core_depends_on_and_what_checks_signatures() -> None:
    assert {"python3", "systemd", "libstdc++6", "openssl"} <= set(needed())
    assert not any(character in name for name in needed() for character in " |(")


@pytest.mark.skipif(shutil.which("apt-get") is None and not os.environ.get("CI"), reason="apt-get is not installed")
def test_debians_packages_in_a_bundle_are_a_source_for_apt(small: Callable[[str], Path], release: Release, tmp_path: Path) -> None:
    """Without the epoch in the name of the file: apt would read %3a as a colon."""
    foreign = small("other").rename(tmp_path / "lineside-demo_1%3a1.0_amd64.deb")
    path = bundle([small("one")], HERE, release, None, tmp_path, debian=[foreign])
    subprocess.run(["tar", "-xf", str(path), "-C", str(tmp_path)], check=True)
    unpacked = path.with_suffix("")
    assert sorted(each.name for each in (unpacked / "debian").iterdir()) == ["Packages", "lineside-demo_1.0_amd64.deb"]
    assert install("--unsigned", str(path)).stdout == "complete and undamaged\n"
    places = {"Dir::State": "state", "Dir::Cache": "cache", "Dir::State::status": "status", "Dir::Etc::sourcelist": "sources.list"}
    words = [word for name, place in places.items() for word in ("-o", f"{name}={tmp_path / place}")]
    words += ["-o", "Dir::Etc::sourceparts=-", "-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"]
    for name in ("state/lists/partial", "cache/archives/partial"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "status").touch()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{unpacked}/debian ./\n")
    subprocess.run(["apt-get", "-qq", *words, "update"], check=True, capture_output=True)
    done = subprocess.run(
        ["apt-get", "-qq", *words, "download", "lineside-demo"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lineside-demo_1.0+deb12_amd64.deb").read_bytes() == foreign.read_bytes()


@pytest.fixture
def gateway(tmp_path: Path, release: Release) -> Callable[..., tuple[subprocess.CompletedProcess[str], str]]:
    """Installs a bundle, with dpkg at work below a folder; gives what was said, and what is there then."""
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    target, programs = tmp_path / "target", tmp_path / "programs"
    for folder in (programs, *(target / "var/lib/dpkg" / name for name in ("info", "updates", "triggers"))):
        folder.mkdir(parents=True)
    (target / "var/lib/dpkg/status").touch()
    for program in ("dpkg", "dpkg-query"):
        log = "--log=/dev/null" if program == "dpkg" else ""
        (programs / program).write_text(f'#!/bin/sh\nexec {shutil.which(program)} --root={target} {log} "$@"\n')
        (programs / program).chmod(0o755)

    def make(version: str, debian: int, *words: str) -> tuple[subprocess.CompletedProcess[str], str]:
        debs, needs = [], {"lineside": "", "lineside-analytics": "lineside", "lineside-demo": "lineside-analytics"}
        for name, need in needs.items():
            tree = tmp_path / f"{name}-{version}-{debian}"
            (tree / "DEBIAN").mkdir(parents=True)
            fields = (
                f"Package: {name}\nVersion: {version}+deb{debian}\nArchitecture: {arch}\nMaintainer: a <a@example.org>\nDescription: x\n"
            )
            (tree / "DEBIAN/control").write_text(fields + (f"Depends: {need}\n" if need else ""))
            debs.append(tmp_path / f"{name}_{version}+deb{debian}_{arch}.deb")
            pack(tree, debs[-1], EPOCH)
        path = bundle(debs, Target({12: "bookworm", 13: "trixie"}[debian], arch), release, None, tree)
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        script = str(ROOT / "packaging/install.sh")
        done = subprocess.run(["sh", script, "--unsigned", *words, str(path)], capture_output=True, text=True, check=False, env=env)
        shown = [programs / "dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n"]
        found = subprocess.run(shown, capture_output=True, text=True, check=False)
        return done, found.stdout.strip().removeprefix("lineside ")

    return make


def debian() -> int:
    """This machine's release; skips where it is none that packages are built for."""
    found = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    number = found.get("VERSION_ID", "").strip('"')
    if found.get("ID") not in ("debian", "raspbian") or number not in ("12", "13") or os.geteuid() != 0:
        pytest.skip("wants root on a Debian 12 or 13")
    return int(number)


def test_a_bundle_for_another_release_of_debian_is_refused_before_dpkg_unpacks_it_over_the_gateway(gateway: Callable[..., Any]) -> None:
    here = debian()
    assert gateway("1.0", here)[1] == f"1.0+deb{here} installed"
    done, left = gateway("1.1", 25 - here)
    assert (done.returncode, left) == (1, f"1.0+deb{here} installed")
    assert f"this bundle is for Debian {25 - here}, this machine has {here}" in done.stderr


def test_an_older_bundle_is_refused_with_an_exit_code_unless_the_person_says_so(gateway: Callable[..., Any]) -> None:
    here = debian()
    gateway("1.1", here)
    done, left = gateway("1.0", here)
    assert (done.returncode, left) == (1, f"1.1+deb{here} installed")
    assert f"1.0+deb{here} is older than 1.1+deb{here}, which is installed; --downgrade" in done.stderr
    done, left = gateway("0.9", here, "--downgrade")
    assert (done.returncode, left) == (0, f"0.9+deb{here} installed")


def test_the_demo_brings_what_it_needs_and_what_no_bundle_has_is_refused(gateway: Callable[..., Any]) -> None:
    here = debian()
    done, left = gateway("1.0", here, "--with", "vibration")
    assert (done.returncode, left) == (1, "")
    assert "there is no lineside-vibration in this bundle" in done.stderr
    done, left = gateway("1.1", here, "--with", "demo")
    assert (done.returncode, left.count(f"1.1+deb{here} installed")) == (0, 3), done.stderr


def test_without_qemu_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_QEMU", "no-such-qemu")
    with pytest.raises(SystemExit, match="apt-get install qemu-user-static"):
        trial.registered()


def test_a_bundle_without_them_says_so(small: Callable[[str], Path], release: Release, tmp_path: Path) -> None:
    one, other = small("one"), small("other")

    def readme(debian: list[Path]) -> str:
        path = bundle([one], HERE, release, None, tmp_path, debian=debian)
        with tarfile.open(path) as archive:
            file = archive.extractfile(f"{path.stem}/README.md")
            assert file is not None
            return file.read().decode()

    assert "built without `debian/`" in readme([])
    assert "built without" not in readme([other])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_purge_empties_what_is_a_mount_and_goes_on(tmp_path: Path) -> None:
    """State and configuration on a partition of their own (firmware-config/overlayroot): rm cannot remove them, and dpkg stopped there."""
    mounts = ("etc/lineside", "var/lib/lineside")
    others = ("var/lib/lineside-press", *(f"etc/systemd/system/lineside{name}.d" for name in (".service", "@.service", "-backup.service")))
    for name in (*mounts, *others):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "of-its-own").touch()
    postrm = re.sub(r"(?<![\w/])/(?=etc/|var/|run/)", f"{tmp_path}/", (ROOT / "packaging/lineside/postrm").read_text())
    script = "".join(
        f"mount -t tmpfs none {tmp_path}/{name} && mkdir {tmp_path}/{name}/pki && touch {tmp_path}/{name}/pki/key && " for name in mounts
    )
    script += f'sh -c "$0" postrm purge && find {" ".join(f"{tmp_path}/{name}" for name in mounts)} -mindepth 1'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, postrm], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert [name for name in others if (tmp_path / name).exists()] == []


def test_a_folder_that_cannot_be_set_right_does_not_leave_the_package_half_installed(tmp_path: Path) -> None:
    """A stick with a file system without owners at /var/backups/lineside: the upgrade was unpacked and never begun."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    for program, code in (("systemd-sysusers", 0), ("systemd-tmpfiles", 73), ("systemctl", 0)):
        (tmp_path / program).write_text(f'#!/bin/sh\necho "${{0##*/}} $1" >>{tmp_path}/told\nexit {code}\n')
        (tmp_path / program).chmod(0o755)
    postinst = re.sub(r"(?<![\w/])/(?=etc/|var/|run/)", f"{tmp_path}/", (ROOT / "packaging/lineside/postinst").read_text())
    words = ["sh", "-c", postinst.replace("@units@", "lineside.service"), "postinst", "configure", "0.1.0+deb12"]
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "told").read_text().splitlines()[-1] == "systemctl try-restart"
    assert "systemd-tmpfiles --create lineside.conf" in done.stdout


def test_the_shell_scripts_are_read_by_a_shell() -> None:
    maintainers = ("preinst", "postinst", "prerm", "postrm")
    scripts = [*(ROOT / "packaging").glob("*.sh"), *(ROOT / "packaging/lineside" / name for name in maintainers)]
    assert len(scripts) == 9
    for script in scripts:
        assert subprocess.run(["sh", "-n", str(script)], capture_output=True, check=False).returncode == 0, script


def test_a_pin_and_the_builder_are_of_this_checkout() -> None:
    assert Pin("one", "1.0", frozenset({"aa"})).text == "one==1.0 --hash=sha256:aa"
    done = subprocess.run([sys.executable, "-m", "debs", "--help"], capture_output=True, text=True, check=False, cwd=ROOT / "packaging")
    assert done.returncode == 0
    assert "--key" in done.stdout
