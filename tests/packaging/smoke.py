"""Builds the wheel, installs it with its lock into a venv of its own, and runs the command there. `make wheel`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: smoke-01}}
gateway: {{page: off, state_dir: "{state}"}}
"""
OURS_ALONE = """
from importlib.metadata import packages_distributions as owners
assert [set(owners()[name]) for name in ("gateway", "drivers", "models")] == [{"lineside"}] * 3, owners()
"""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="lineside-wheel-") as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        look_inside(wheel)
        command = install(folder / "venv", wheel)
        run(command, "--version")
        run(command, "schema", "--write", str(folder / "schema.json"))
        start_and_stop(command, folder)
        kept = keep(wheel)
    sys.stdout.write(f"{kept}: built, installed alone, checked, run and stopped\n")
    return 0


def build(out: Path) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT))
    (wheel,) = out.glob("*.whl")
    return wheel


def keep(wheel: Path) -> Path:
    """In dist/ and alone there, for whoever installs it by hand."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    return Path(shutil.copy(wheel, dist)).relative_to(ROOT)


def look_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    unexpected = {top for top in tops if top not in {"gateway", "drivers", "models"} and not top.startswith("lineside-")}
    if unexpected:
        raise SystemExit(f"the wheel brings {sorted(unexpected)}")
    for wanted in (
        "gateway/web/static/index.html",
        "gateway/outbox/schema.sql",
        "drivers/modbus/sample.yaml",
        "lib/systemd/system/lineside.service",
        "share/lineside/firmware-config/manifest.yaml",
    ):
        if not any(name.endswith(wanted) for name in names):
            raise SystemExit(f"the wheel lacks {wanted}")


def install(venv: Path, wheel: Path) -> str:
    run(sys.executable, "-m", "venv", str(venv))
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    run(*pip, "--require-hashes", "-r", str(ROOT / "locks" / "gateway.lock"))
    run(*pip, "--no-deps", str(wheel))
    run(python, "-m", "pip", "check")
    run(python, "-c", OURS_ALONE)
    return str(venv / "bin" / "lineside")


def start_and_stop(command: str, folder: Path) -> None:
    config = folder / "lineside.yaml"
    config.write_text(CONFIG.format(state=folder / "state"))
    run(command, "check", str(config))
    with subprocess.Popen([command, "run", str(config), "--log", "json"], cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 30
        for line in process.stderr:
            if '"message":"ready"' in line:
                process.send_signal(signal.SIGTERM)
            if time.monotonic() > deadline:
                process.kill()
                raise SystemExit("the gateway did not become ready within 30 s")
    if process.returncode != 0:
        raise SystemExit(f"the gateway ended with exit code {process.returncode}")


def run(*words: str) -> None:
    done = subprocess.run(words, cwd=tempfile.gettempdir(), capture_output=True, text=True, env=dict(os.environ), check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
