"""`lineside bundle`: what support needs to see, in one file, without secrets."""

from __future__ import annotations

import io
import socket
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

import click

from gateway.commands.bundle_parts import Part, Scene, parts
from gateway.commands.failing import answered
from gateway.commands.printing import printable, when
from gateway.config.glance import glance
from gateway.contract import ConfigError
from gateway.durable import replacing
from gateway.life.redact import Redactor, hosts_in, known_secrets

MOST_PART, MOST_ALL = 4 << 20, 24 << 20
"""Bytes before compression; logs keep their end, everything else its beginning."""
_INDEX = "CONTENTS.txt"


def bundle(config: Path, target: Path | None, *, with_events: bool, hide_hosts: bool, log_lines: int) -> int:
    """Exit code: 0 written, 1 failed, 2 cannot."""
    return answered(lambda: _bundle(config, target or Path(), with_events, hide_hosts, log_lines))


def _bundle(config: Path, target: Path, with_events: bool, hide_hosts: bool, log_lines: int) -> int:
    known, now_ns = glance(config), time.time_ns()
    if not (target if target.is_dir() else target.parent).is_dir():
        raise ConfigError(f"there is no folder {target.parent}; make it, or choose another one with --to")
    stamp = when(now_ns).replace("-", "").replace(":", "")
    file = target / f"lineside-support-{known.gateway}-{stamp}.tar.gz" if target.is_dir() else target
    redact = Redactor(known_secrets(config), _hosts(config) if hide_hosts else None)
    scene = Scene(config=config, known=known, with_events=with_events, log_lines=log_lines)
    texts = _cut([(part, redact(part.text())) for part in parts(scene)])
    index = _index(texts, redact(known.urn), when(now_ns))
    with replacing(file) as out, tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
        for name, text in [(_INDEX, index), *((part.name, text) for part, text in texts)]:
            _add(tar, name, text, now_ns // 1_000_000_000)
    click.echo(index)
    click.echo(f"{file}: {file.stat().st_size:,} bytes. Look through it before you send it: tar xzf {file}")
    return 0


def _hosts(config: Path) -> set[str]:
    """Of what is connected to, and our own."""
    return {socket.gethostname(), *hosts_in(config.read_text(encoding="utf-8", errors="replace"))}


def _cut(texts: Iterable[tuple[Part, str]]) -> list[tuple[Part, str]]:
    left, cut = MOST_ALL, []
    for part, text in texts:
        most = min(MOST_PART, left)
        raw = text.encode("utf-8", "replace")
        if len(raw) > most:
            kept = (raw[-most:] if part.newest else raw[:most]).decode("utf-8", "ignore")
            text = f"[cut: {len(raw):,} bytes]\n{kept}" if part.newest else f"{kept}\n[cut: {len(raw):,} bytes]\n"
        cut.append((part, text))
        left = max(0, left - min(len(raw), most))
    return cut


def _index(texts: Iterable[tuple[Part, str]], urn: str, at: str) -> str:
    rows = [f"{part.name:<28} {len(text.encode('utf-8', 'replace')):>9,}  {part.what}" for part, text in texts]
    return "\n".join(
        [f"Support bundle of {printable(urn)}, {at}. Secrets are masked (***); private keys and accounts are not in it.", "", *rows, ""]
    )


def _add(tar: tarfile.TarFile, name: str, text: str, mtime: int) -> None:
    raw = text.encode("utf-8", "replace")
    info = tarfile.TarInfo(f"lineside-support/{name}")
    info.size, info.mtime, info.mode = len(raw), mtime, 0o600
    tar.addfile(info, io.BytesIO(raw))
