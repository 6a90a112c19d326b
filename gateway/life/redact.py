"""Makes texts fit to be given away: secrets by their value, by their place and by their look; hosts if wanted."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from gateway.accounts.store import PREFIX
from gateway.config.nodes import NotYaml
from gateway.config.yaml import parse
from gateway.life.contents import SECRET_CONFIG

MASK: Final = "***"
_LEAST = 4
"""Characters of a value that is looked for: shorter ones are everywhere."""
# `secret: name` is a reference, and the name of a secret is none.
_W = r"[\w.-]{0,40}"
_NAME = (
    rf"(?!secret:\s)(?:{_W}(?:passw(?:or)?d|passphrase|pwd|token|secret|credential|api[_-]?key|authorization|cookie|private[_-]?key){_W}"
    rf"|(?:[\w.]{{0,40}}[_.-])?(?:pass|nkey|seed)(?:[_.-][\w.]{{0,40}})?)"
)
"""Bounded, like all that is repeated before something has to follow: what is looked through was partly written by strangers."""
_BEFORE = r"(?:^|[\s{,#\"'(;])"
_NOT_ONE = r"(?!\{|\[|null\b|true\b|false\b|\*\*\*|[\"']?\s*$)"
_QUOTED = r"(?<=\")(?:[^\"\\\n]|\\.)*|(?<=')(?:[^'\n]|'')*"
"""To the quote that ends it: JSON and YAML have others in between."""
_PATTERNS: Final = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s@'\"<>]{1,500}@", re.IGNORECASE), r"\1***@"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}(?:PRIVATE KEY|CREDS|SEED|JWT)[A-Z ]{0,30}-----.*?(?:-----END [A-Z ]{0,60}-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{4,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(rf"(?i)([?&](?:{_NAME}|sig|signature|code|key)=)[^&\s'\"]+"), r"\1***"),
    (
        re.compile(rf"(?im)({_BEFORE}[\"']?{_NAME}[\"']?\s*[:=]\s*){_NOT_ONE}([\"']?)(?:{_QUOTED}|[^\s,}}\]\"']+)"),
        r"\1\2***",
    ),
    (re.compile(r"\beyJ[\w-]{8,4000}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"\bS[UAOXN][A-Z2-7]{56}\b"), MASK),
    (re.compile(rf"\b{PREFIX}[\w-]{{43}}"), MASK),
)
"""Addresses with a user, keys, HTTP's Authorization, queries (also as Azure signs addresses), ``name: value`` and ``name=value``, JWTs
(RFC 7519), seeds of NATS, tokens of our own.
"""
_HOST = re.compile(r"://(?:[^/@\s]*@)?([\w.-]+)")
_IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_KEPT_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::")


class Redactor:
    """secrets   values that must not be seen, wherever they are found and as web and JSON write them
    hosts     names that are replaced by ``host-1`` and so on, the same one always by the same, addresses too; None: they stay
    """

    def __init__(self, secrets: Iterable[str], hosts: Iterable[str] | None = None) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)
        self._names = (
            None if hosts is None else {name: f"host-{n}" for n, name in enumerate(sorted(_hidden(hosts), key=len, reverse=True), 1)}
        )

    def __call__(self, text: str) -> str:
        """
        >>> Redactor(["hunter2"])("nats://me:pw@hub said hunter2; password: x1y2")
        'nats://***@hub said ***; password: ***'
        """
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text if self._names is None else self._without_hosts(text, self._names)

    def _without_hosts(self, text: str, names: dict[str, str]) -> str:
        def alias(match: re.Match[str]) -> str:
            name = match[0].lower()
            return match[0] if name in _KEPT_HOSTS else names.setdefault(name, f"host-{len(names) + 1}")

        def alias_of_six(match: re.Match[str]) -> str:
            try:
                ip_address(match[0])
            except ValueError:  # a time, or a MAC address
                return match[0]
            return alias(match)

        known = "|".join(re.escape(name) for name in names)
        text = re.sub(rf"(?<![\w.-])(?:{known})(?![\w-])", alias, text, flags=re.IGNORECASE) if known else text
        return _IPV6.sub(alias_of_six, _IPV4.sub(alias, text))


def known_secrets(config: Path) -> Iterator[str]:
    """Of files, of the environment, and what stands in the configuration itself under a name like a secret's. What one may not read is
    not there to be given away either, but for what the log holds; patterns are for that.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [config.absolute().parent / name for name in SECRET_CONFIG] + ([Path(credentials)] if credentials else [])
    for path in [path for folder in folders for path in _listed(folder)]:
        yield from _lines(_text(path))
    yield from (value for name, value in os.environ.items() if name.startswith("LINESIDE_SECRET_"))
    yield from in_yaml(_text(config))


def hosts_in(text: str) -> set[str]:
    """Of every address.

    >>> hosts_in("tcp://plc.plant:502 and nats://me@hub")== {"plc.plant", "hub"}
    True
    """
    return {match[1] for match in _HOST.finditer(text)}


def in_yaml(text: str) -> Iterator[str]:
    """Values at places that are called like a secret, and passwords in addresses.

    >>> list(in_yaml("crm: {password: hunter2, url: 'https://me:s3cret@h/'}"))
    ['hunter2', 's3cret']
    """
    try:
        document = parse(text)
    except NotYaml:
        return
    lines = text.splitlines()
    for (first, start), (last, end) in sorted(document.hidden):
        yield from _lines("\n".join(lines[first - 1 : last])[start - 1 :] if first != last else lines[first - 1][start - 1 : end - 1])
    for value in _scalars(document.data):
        if match := re.search(r"://[^/\s@:]*:([^/\s@]+)@", value):
            yield unquote(match[1])


def _scalars(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _scalars(inner)


def _forms(secret: str) -> Iterator[str]:
    plain = secret.strip().strip("\"'")
    if len(plain) >= _LEAST:
        yield from (
            plain,
            quote(plain, safe=""),
            plain.replace("\\", "\\\\").replace('"', '\\"'),
            b64encode(plain.encode()).decode().rstrip("="),
        )


def _lines(text: str) -> list[str]:
    """A key's file is masked line by line: a log may show one."""
    lines = text.strip().splitlines()
    return lines if len(lines) <= 1 else [line for line in lines if len(line) >= 16 and not line.startswith("-----")] + [text.strip()]


def _hidden(hosts: Iterable[str]) -> set[str]:
    """In small letters, as the log has them."""
    return {host.lower() for host in hosts if len(host) > 1} - {*_KEPT_HOSTS}


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
