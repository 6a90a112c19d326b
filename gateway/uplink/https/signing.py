"""Signatures of Standard Webhooks 1.0.0: HMAC (``v1``) and ed25519 (``v1a``), several side by side while secrets are changed. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

Sign = Callable[[bytes], str]


class BadSecret(ValueError):
    """Says what is wrong with a secret, without a letter of it."""


def headers(id_: str, seconds: int, body: bytes, signers: Sequence[Sign]) -> dict[str, str]:
    """`body` are the exact bytes that are sent; the specification forbids a dot in the id."""
    id_ = id_.replace(".", "-")
    signed = b".".join([id_.encode(), str(seconds).encode(), body])
    return {"webhook-id": id_, "webhook-timestamp": str(seconds), "webhook-signature": " ".join(sign(signed) for sign in signers)}


def signer(secret: str) -> Sign:
    """``whsec_...``: HMAC-SHA256; ``whsk_...``: an ed25519 key, 32 bytes, or 64 with the public one behind. Raises BadSecret."""
    kind, _, encoded = secret.partition("_")
    if kind not in ("whsec", "whsk"):
        raise BadSecret("begins neither with whsec_ nor with whsk_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as exc:
        raise BadSecret(f"{kind}_ is not followed by base64") from exc
    return _hmac(key) if kind == "whsec" else _ed25519(key)


def _hmac(key: bytes) -> Sign:
    if not 24 <= len(key) <= 64:
        raise BadSecret(f"holds {len(key)} bytes; 24 to 64 are wanted")
    return lambda signed: "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def _ed25519(key: bytes) -> Sign:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if len(key) not in (32, 64):
        raise BadSecret(f"holds {len(key)} bytes; 32 or 64 are wanted")
    private = Ed25519PrivateKey.from_private_bytes(key[:32])
    return lambda signed: "v1a," + base64.b64encode(private.sign(signed)).decode()
