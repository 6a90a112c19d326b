"""A device's claim: who types its code into the fleet's console says that this device is theirs. The format is in docs/operation.md.

The code is 80 bits of a hash over the device's public key, a random number and the time it ends, so it cannot be guessed from the key.
The document goes to the console with the device's first contact; its signature shows that the device has the key. Pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMAT: Final = 1
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
_SYMBOLS, _GROUP = 16, 4
_CHECK = 37
_AS_MEANT = str.maketrans({"O": "0", "I": "1", "L": "1"})


class ClaimInvalid(Exception):
    """In words for whoever typed the code."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """device      16 symbols of the public key's hash: names the device for good
    public_key  Ed25519, 32 bytes; `nonce` 16 bytes; `signature` 64 bytes; all base64url without padding
    issued, expires   seconds since 1970
    """

    format: int
    device: str
    gateway: str
    public_key: str
    nonce: str
    issued: int
    expires: int
    signature: str

    @property
    def code(self) -> str:
        """As it is printed: ``XXXX-XXXX-XXXX-XXXX-C``."""
        return _code(self)


def make(key: Ed25519PrivateKey, *, gateway: str, nonce: bytes, issued: int, expires: int) -> Claim:
    """`gateway` is its urn, or empty while it has no configuration."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    claim = Claim(
        format=FORMAT,
        device=device(public),
        gateway=gateway,
        public_key=_text(public),
        nonce=_text(nonce),
        issued=issued,
        expires=expires,
        signature="",
    )
    return msgspec.structs.replace(claim, signature=_text(key.sign(_signed(claim))))


def device(public_key: bytes) -> str:
    return _symbols(sha256(b"lineside device 1\n" + public_key).digest())


def verify(document: Any, *, code: str | None, now: float) -> Claim:
    """What a console does with a claim it was sent and a code that somebody typed. Raises ClaimInvalid.

    code   None: only the document is looked at
    """
    try:
        claim = msgspec.convert(document, Claim)
        public, signature, nonce = (_bytes(text) for text in (claim.public_key, claim.signature, claim.nonce))
        if claim.format != FORMAT or len(nonce) != 16 or claim.device != device(public):
            raise ClaimInvalid("this is no claim of a known format")
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed(claim))
    except (msgspec.ValidationError, ValueError) as exc:
        raise ClaimInvalid(f"this is no claim: {exc}") from exc
    except InvalidSignature as exc:
        raise ClaimInvalid("the claim was not signed by the device it names") from exc
    if code is not None and read_code(code) != read_code(claim.code):
        raise ClaimInvalid("the code is not that of this device's latest claim")
    if now >= claim.expires:
        raise ClaimInvalid("the claim has expired; run on the device: lineside enrol --renew")
    return claim


def read_code(text: str) -> str:
    """16 symbols, as meant: case, dashes and blanks do not matter, O is 0, I and L are 1. Raises ClaimInvalid for one mistyped.

    >>> read_code("0000-oooo-0000-0001-1"), read_code(" 0000 0000 0000 000l 1")
    ('0000000000000001', '0000000000000001')
    """
    plain = "".join(text.upper().split()).replace("-", "").translate(_AS_MEANT)
    if len(plain) != _SYMBOLS + 1 or any(symbol not in ALPHABET for symbol in plain):
        raise ClaimInvalid("a code has 17 letters and digits, like 4J7K-9QXZ-M2C8-V5TB-3")
    if checksum(plain[:-1]) != plain[-1]:
        raise ClaimInvalid("the code has a typing error: its last letter does not fit")
    return plain[:-1]


def checksum(symbols: str) -> str:
    """The number modulo 37, as Crockford has it; empty where it would be one of his five special signs.

    >>> checksum("0000000000000001"), checksum("000000000000000Z")
    ('1', 'Z')
    """
    number = 0
    for symbol in symbols:
        number = number * 32 + ALPHABET.index(symbol)
    rest = number % _CHECK
    return ALPHABET[rest] if rest < len(ALPHABET) else ""


def usable(claim: Claim) -> bool:
    """Its code ends with a letter or digit; 5 of 37 nonces are drawn again for that."""
    return bool(checksum(claim.code.replace("-", "")[:_SYMBOLS]))


def _code(claim: Claim) -> str:
    hashed = sha256(b"lineside code 1\n" + _bytes(claim.public_key) + _bytes(claim.nonce) + claim.expires.to_bytes(8, "big")).digest()
    symbols = _symbols(hashed)
    groups = [symbols[at : at + _GROUP] for at in range(0, _SYMBOLS, _GROUP)]
    return "-".join([*groups, checksum(symbols)])


def _symbols(hashed: bytes) -> str:
    """80 bits."""
    number = int.from_bytes(hashed[:10], "big")
    return "".join(ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))


def _signed(claim: Claim) -> bytes:
    """One line each; a name with a line end in it would be no name."""
    lines = (claim.device, claim.gateway, claim.public_key, claim.nonce, claim.issued, claim.expires)
    return "\n".join(["lineside claim 1", *map(str, lines)]).encode()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
