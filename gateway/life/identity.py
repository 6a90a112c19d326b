"""The device's key, made once, and its current claim: ``pki/device.key.pem`` and ``pki/device.json`` in the state folder, mode 0600."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.contract import ConfigError
from gateway.durable import write
from gateway.life import claim as claims
from gateway.life.claim import Claim
from gateway.life.swap import give_to_owner_of

KEY, CLAIM = "device.key.pem", "device.json"


def enrol(state_dir: Path, *, gateway: str, days: float, renew: bool, now: float) -> Claim:
    """The claim there is, or a new one: when there is none, it is over, or `renew`. Raises ConfigError, OSError."""
    known, pki = current(state_dir), state_dir / "pki"
    if not pki.is_dir():
        pki.mkdir(mode=0o700)
        give_to_owner_of(state_dir, pki)
    key = _key(pki)
    if known is not None and not renew and now < known.expires and known.gateway == gateway:
        return known
    while not claims.usable(made := _make(key, gateway, now, days)):
        continue
    _put(pki / CLAIM, msgspec.json.format(msgspec.json.encode(made)))
    return made


def current(state_dir: Path) -> Claim | None:
    """Whether or not it is over; None: there is none, or it is not of the key. Raises ConfigError, OSError."""
    if not state_dir.is_dir():
        raise ConfigError(f"there is no state folder {state_dir}; systemd makes it when the gateway starts, else make it (mode 0700)")
    pki = state_dir / "pki"
    try:
        found = claims.verify(msgspec.json.decode((pki / CLAIM).read_bytes()), code=None, now=0.0)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, claims.ClaimInvalid):
        return None
    mine = (pki / KEY).exists() and found.device == claims.device(_load(pki / KEY).public_key().public_bytes_raw())
    return found if mine else None


def _make(key: Ed25519PrivateKey, gateway: str, now: float, days: float) -> Claim:
    return claims.make(key, gateway=gateway, nonce=os.urandom(16), issued=int(now), expires=int(now + days * 86_400))


def _key(pki: Path) -> Ed25519PrivateKey:
    path = pki / KEY
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        _put(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return _load(path)


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as exc:
        raise ConfigError(
            f"{path} is no private key; if it is lost, delete it: the device gets a new identity and is claimed anew"
        ) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is no Ed25519 key; delete it to get a new identity")
    return key


def _put(path: Path, content: bytes) -> None:
    write(path, content)
    give_to_owner_of(path.parent, path)
