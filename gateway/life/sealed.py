"""Secrets under a passphrase: scrypt (RFC 7914) makes the key, AES-256-GCM (NIST SP 800-38D) seals. Pure but for the randomness."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_MAGIC: Final = b"LSSEAL1\n"
_N, _R, _P = 1 << 16, 8, 1
"""64 MB and a fraction of a second on a gateway, for each guess."""
_SALT, _NONCE = 16, 12
LEAST: Final = 12
"""Characters of a passphrase."""


class WrongPassphrase(Exception):
    """Or the sealed bytes were changed: nobody can tell."""


def seal(plain: bytes, passphrase: str) -> bytes:
    """A new salt and nonce each time."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    head = _MAGIC + salt + nonce
    return head + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, head)


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """Raises WrongPassphrase.

    >>> unseal(seal(b"s3cret", "correct horse battery"), "correct horse battery")
    b's3cret'
    """
    head, rest = sealed[: len(_MAGIC) + _SALT + _NONCE], sealed[len(_MAGIC) + _SALT + _NONCE :]
    if not head.startswith(_MAGIC):
        raise WrongPassphrase
    salt, nonce = head[len(_MAGIC) : -_NONCE], head[-_NONCE:]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, rest, head)
    except InvalidTag as exc:
        raise WrongPassphrase from exc


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode())
