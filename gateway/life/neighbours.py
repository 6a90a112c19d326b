"""Several gateways may share the folder of their configurations: which of its files belong to which of them.

A file belongs to who names it: its own YAML and that one's signature, the secrets it refers to, the files its options name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import Any

from gateway.config.model import GatewayModel
from gateway.config.nodes import NotYaml
from gateway.config.signature import FOLDER as TRUSTED_KEYS
from gateway.config.signature import signature_file
from gateway.config.yaml import parse
from gateway.contract import ConfigError
from gateway.life.contents import BEFORE, SECRET_CONFIG, STAGING
from gateway.outbox.database import FILE_NAME

_SUFFIXES = (".yaml", ".yml")
SHIPPED = "starter.yaml"
"""Comes with the package, to be copied; nobody runs it."""
_SITE = re.compile(r"^[\"']?site[\"']?\s*:", re.MULTILINE)
_DEFAULT_STATE = str(GatewayModel.model_fields["state_dir"].default)


class Whose(Enum):
    OURS = auto()
    SHARED = auto()
    THEIRS = auto()
    NOBODYS = auto()


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What one of them names.

    name      of the file
    state     its state folder; None: it cannot be understood, so each word in it may be a name
    secrets   it refers to; `paths` its options name, absolute
    """

    name: str
    text: str
    state: Path | None = None
    secrets: frozenset[str] = frozenset()
    paths: frozenset[Path] = frozenset()

    @classmethod
    def read(cls, name: str, text: str, folder: Path) -> Configuration | None:
        """None: it is no gateway's."""
        try:
            data = parse(text.removeprefix("\ufeff")).data
        except NotYaml:
            return cls(name=name, text=text) if _SITE.search(text) else None
        if not isinstance(data, Mapping) or "site" not in data:
            return None
        gateway = data.get("gateway")
        state = gateway.get("state_dir") if isinstance(gateway, Mapping) else None
        values = list(_values(data))
        return cls(
            name=name,
            text=text,
            state=_absolute(folder, str(state or _DEFAULT_STATE)),
            secrets=frozenset(value for key, value in values if key == "secret"),
            # A path; what is longer, or has a line end in it, is none.
            paths=frozenset(_absolute(folder, value) for _, value in values if len(value) < 4096 and value.isprintable()),
        )

    def names(self, file: str, folder: Path) -> bool:
        """file   relative to the folder of the configurations"""
        parts = PurePosixPath(file).parts
        if file in (self.name, signature_file(Path(self.name)).name) or parts[0] == TRUSTED_KEYS:
            return True
        if self.state is None:
            return any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", self.text) for word in (file, parts[-1]))
        if len(parts) == 2 and parts[0] in SECRET_CONFIG and parts[1] in self._credentials():
            return True
        # A word that is called like a folder of secrets names none of them.
        path, too_much = folder / file, (folder, *(folder / name for name in SECRET_CONFIG))
        return any(each in self.paths for each in (path, *path.parents) if each not in too_much and each.is_relative_to(folder))

    def _credentials(self) -> Iterator[str]:
        """Names of their files; for an instance of the template unit ``LoadCredential=NAME:.../INSTANCE-NAME``."""
        for secret in self.secrets:
            yield from (secret, f"{PurePosixPath(self.name).stem}-{secret}")


@dataclass(frozen=True, kw_only=True)
class Belongings:
    """of       the gateway we speak of: its configuration, and copies of it
    others   that share the folder
    """

    folder: Path
    of: tuple[Configuration, ...]
    others: tuple[Configuration, ...] = ()

    def whose(self, file: str) -> Whose:
        """file   relative to the folder; what a restore prepares or has put aside belongs to whom it did before"""
        file = before_restore(file)
        ours, theirs = (any(each.names(file, self.folder) for each in some) for some in (self.of, self.others))
        if ours:
            return Whose.SHARED if theirs else Whose.OURS
        in_their_state = any(other.state is not None and (self.folder / file).is_relative_to(other.state) for other in self.others)
        return Whose.THEIRS if theirs or in_their_state else Whose.NOBODYS

    def is_used(self, file: str) -> bool:
        """By another gateway, which has a state: one that was wiped before, or never ran, may need nothing any more."""
        using = [other for other in self.others if other.names(before_restore(file), self.folder)]
        return any(other.state is None or (other.state / FILE_NAME).exists() for other in using)

    @property
    def elsewhere(self) -> list[Path]:
        """What its options name outside of the folder, and no other gateway's do."""
        theirs = {path for other in self.others for path in other.paths}
        return sorted({path for each in self.of for path in each.paths - theirs if not path.is_relative_to(self.folder)})

    @property
    def names_of_others(self) -> str:
        return ", ".join(other.name for other in self.others)


def belongings(config: Path, *, text: str | None = None, state: Path | None = None, strict: bool = False) -> Belongings:
    """Of the gateway with this configuration, which need not be there yet when its `text` is given. What has the same state folder is no
    other gateway, because two cannot share one: a copy, or an older one.

    state    where its state is, or will be, if that is not what its configuration says
    strict   one that cannot be read is an error, for nobody knows what it names; else only its name is known
    raises ConfigError, OSError
    """
    folder = _real(config.parent)  # a path may lead there by `..` or by a link, and options name files by another one
    try:
        own = text if text is not None else config.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{config} is not UTF-8 text") from exc
    of = Configuration.read(config.name, own, folder) or Configuration(name=config.name, text=own)
    states = {_real(each) for each in (of.state, state) if each is not None}
    beside = list(_beside(folder, config.name, strict=strict)) if folder.is_dir() else []
    copies = [each for each in beside if each.state is not None and _real(each.state) in states]
    return Belongings(folder=folder, of=(of, *copies), others=tuple(each for each in beside if each not in copies))


def before_restore(file: str) -> str:
    """
    >>> before_restore("before-restore-20270115T080000Z/secrets/token"), before_restore("secrets/token"), before_restore(".restore")
    ('secrets/token', 'secrets/token', '.restore')
    """
    first, _, rest = file.partition("/")
    return rest if rest and is_aside(first) else file


def is_aside(name: str) -> bool:
    """A folder that a restore made."""
    return name.startswith((BEFORE, STAGING))


def _beside(folder: Path, name: str, *, strict: bool) -> Iterator[Configuration]:
    for path in sorted(folder.iterdir()):
        if path.suffix not in _SUFFIXES or path.name in (name, SHIPPED) or not path.is_file():
            continue
        try:
            found = Configuration.read(path.name, path.read_text(encoding="utf-8", errors="replace"), folder)
        except OSError as exc:
            if strict:
                raise ConfigError(f"{path} cannot be read ({exc.strerror}), so nobody knows what is another gateway's") from exc
            found = Configuration(name=path.name, text="")
        if found is not None:
            yield found


def _values(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Texts with the key they stand at."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, Mapping):
        for name, inner in node.items():
            yield from _values(inner, str(name))
    elif isinstance(node, list):
        for inner in node:
            yield from _values(inner, key)


def _absolute(folder: Path, path: str) -> Path:
    """By no link on the way; what it leads to itself may be one."""
    place, name = os.path.split(os.path.normpath(folder / path))
    return Path(os.path.realpath(place) if os.path.isabs(path) else place, name)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
