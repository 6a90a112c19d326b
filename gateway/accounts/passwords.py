"""Passwords: what is strong enough, and how one is kept (scrypt, RFC 7914)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

COST, BLOCK, PARALLEL = 1 << 14, 8, 1
"""scrypt's N, r, p: 16 MB and 100 to 200 ms on a Raspberry Pi 4. They stand in each hash, so they may grow."""
LEAST, MOST = 12, 256
"""Characters."""
_MOST_COST = 1 << 17
_COMMON = (
    "password passwort administrator changeme letmein welcome qwerty qwertz asdfgh iloveyou lineside gateway factory "
    "maintenance engineer operator viewer default secret master system machine raspberry"
)
_RUNS = "01234567890123456789 abcdefghijklmnopqrstuvwxyz qwertzuiopasdfghjklyxcvbnm qwertyuiopasdfghjklzxcvbnm"


def weakness(name: str, password: str) -> str | None:
    """Why the password is not taken; None: it is fine.

    >>> weakness("eva", "short"), weakness("eva", "correct horse battery")
    ('at least 12 characters', None)
    >>> weakness("maintenance-1", "Maintenance-1"), weakness("eva", "password1234"), weakness("eva", "abababababab")
    ("it is the user's name", 'it is one everybody tries first', 'it repeats itself')
    """
    if len(password) < LEAST:
        return f"at least {LEAST} characters"
    if len(password) > MOST:
        return f"at most {MOST} characters"
    bare = password.casefold()
    if bare == name.casefold():
        return "it is the user's name"
    letters = bare.strip("0123456789 .,;:!?#*+-_$%&/")
    if letters in _COMMON.split() or not letters or any(bare in run or bare in run[::-1] for run in _RUNS.split()):
        return "it is one everybody tries first"
    if len(set(bare)) < 4:
        return "it repeats itself"
    return None


def hashed(password: str) -> str:
    """``scrypt$N$r$p$salt$hash``."""
    salt = secrets.token_bytes(16)
    words = ("scrypt", str(COST), str(BLOCK), str(PARALLEL), b64encode(salt).decode(), b64encode(_scrypt(password, salt)).decode())
    return "$".join(words)


def matches(password: str, stored: str) -> bool:
    """Takes as long as scrypt does; compares in constant time. A hash that is none of ours matches nothing."""
    try:
        _, cost, block, parallel, salt, wanted = stored.split("$")
        if int(cost) > _MOST_COST:
            return False
        found = _scrypt(password, b64decode(salt), int(cost), int(block), int(parallel))
        return hmac.compare_digest(found, b64decode(wanted))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes, cost: int = COST, block: int = BLOCK, parallel: int = PARALLEL) -> bytes:
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=cost, r=block, p=parallel, maxmem=256 * cost * block, dklen=32)


NOBODY = "scrypt$16384$8$1$bm9ib2R5bm9ib2R5bm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
"""What a user that does not exist is compared with, so that it takes as long."""
