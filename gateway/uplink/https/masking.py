"""Secrets that a receiver repeats in its answers are taken out before anybody reads them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from gateway.contract import SecretRef

_MASK = b"***"
# Shorter ones would be found within ordinary words; whoever has such a secret has none.
_SHORTEST = 6


class Masking:
    """Remembers what was looked up, and every form of it that goes out."""

    def __init__(self, secret: Callable[[SecretRef], str]) -> None:
        self._secret = secret
        self._hidden: dict[bytes, None] = {}

    def secret(self, ref: SecretRef) -> str:
        """As `UplinkContext.secret`."""
        return self.hides(self._secret(ref))

    def hides(self, value: str) -> str:
        """The value itself; the last 50 are remembered, because tokens come and go."""
        if len(value) >= _SHORTEST:
            self._hidden.pop(key := value.encode("utf-8", "replace"), None)
            self._hidden[key] = None
            if len(self._hidden) > 50:
                del self._hidden[next(iter(self._hidden))]
        return value

    def masked(self, body: bytes) -> bytes:
        """
        >>> hiding = Masking(lambda ref: "s3cret")
        >>> hiding.secret(SecretRef(secret="crm")), hiding.masked(b'{"got":"Bearer s3cret"}')
        ('s3cret', b'{"got":"Bearer ***"}')
        """
        for hidden in self._hidden:
            if hidden in body:
                body = body.replace(hidden, _MASK)
        return body
