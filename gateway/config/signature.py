"""Signed configurations: ``lineside.yaml.sig`` beside the file, by a key whose public half lies in ``trusted-keys/``.

With a key there, an unsigned or changed file is refused, at the start and at a reload. The signature (Ed25519, RFC 8032) is over the
SHA-256 of the file and of each list of tags it names.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.config.problems import ConfigErrors, Problem
from gateway.contract import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FOLDER = "trusted-keys"
_PREFIX = b"lineside configuration 1\n"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Signed:
    """What was signed: hashes of files by their names as the configuration has them, when, and the key's id."""

    files: Mapping[str, str]
    at: str
    key: str

    def problem(self, name: str, raw: bytes) -> str | None:
        """What is wrong with a file; None: it is the one that was signed."""
        wanted = self.files.get(name)
        if wanted is None:
            return "is not among the files that were signed"
        return None if sha256(raw).hexdigest() == wanted else f"is not what was signed at {self.at}"


def signature_file(path: Path) -> Path:
    return path.with_name(path.name + ".sig")


def wanted(path: Path) -> Signed | None:
    """The signature of this configuration, checked. None: this gateway trusts no keys, so none is needed.

    raises ConfigErrors   there is none, or it is by nobody this gateway trusts
    """
    files = _keys(path)
    if not files:
        return None
    place = signature_file(path)
    try:
        raw = place.read_bytes()[:_MOST_BYTES]
    except FileNotFoundError:
        raise _refused(path, f"is not signed, and this gateway takes only files signed with a key in {FOLDER}/") from None
    except OSError as exc:
        raise _refused(path, f"its signature cannot be read: {exc.strerror}") from exc
    try:
        return check(raw, [public_key(file) for file in files])
    except ConfigError as exc:
        raise _refused(path, f"its signature {place.name} {exc}") from exc


def _keys(path: Path) -> list[Path]:
    """Files of keys. Only where there is nothing at all nothing needs to be signed; what is no folder, leads nowhere or is closed says
    that somebody wanted signatures. Raises ConfigErrors.
    """
    folder = path.parent / FOLDER
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if name.endswith(".pem")]
    except OSError as exc:
        if isinstance(exc, FileNotFoundError) and not folder.is_symlink():
            return []
        why = f"nobody knows whether it must be signed: {folder} cannot be read: {exc.strerror}"
        remedy = "make it a folder with the public keys, open to the gateway's account: chmod 755"
        raise ConfigErrors([Problem(str(path), 1, 1, "", why, remedy)]) from exc


def _refused(path: Path, why: str) -> ConfigErrors:
    return ConfigErrors([Problem(str(path), 1, 1, "", why, f"sign it again: lineside config sign {path.name} --key KEY")])


def check(raw: bytes, keys: list[Ed25519PublicKey]) -> Signed:
    """Raises ConfigError: "is damaged", "is by a key nobody here trusts", "does not fit what it signs"."""
    from cryptography.exceptions import InvalidSignature

    try:
        document = json.loads(raw)
        body, key, signature = document["signed"], str(document["key"]), b64decode(document["signature"], validate=True)
        files, at = dict(body["files"]), str(body["at"])
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ConfigError("is damaged") from exc
    by_id = {key_id(each): each for each in keys}
    if key not in by_id:
        raise ConfigError(f"is by a key nobody here trusts ({key[:16]}); trusted are {', '.join(each[:16] for each in by_id)}")
    try:
        by_id[key].verify(signature, _PREFIX + _canonical(body))
    except InvalidSignature as exc:
        raise ConfigError("does not fit what it signs: one of them was changed") from exc
    return Signed(files, at, key)


def sign(files: Mapping[str, str], key: Ed25519PrivateKey, at: str) -> bytes:
    """The content of a signature file. `files`: name -> SHA-256 in hex."""
    body = {"files": dict(files), "at": at}
    signature = b64encode(key.sign(_PREFIX + _canonical(body))).decode()
    document = {"signed": body, "key": key_id(key.public_key()), "signature": signature}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _canonical(body: Any) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, in hex."""
    return sha256(key.public_bytes_raw()).hexdigest()


def public_key(path: Path) -> Ed25519PublicKey:
    """Raises ConfigError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(path.read_bytes())
    except OSError as exc:
        raise ConfigError(f"cannot be checked: {path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigError(f"cannot be checked: {path} is no public key in PEM") from exc
    if not isinstance(found, Ed25519PublicKey):
        raise ConfigError(f"cannot be checked: {path} is no Ed25519 key")
    return found
