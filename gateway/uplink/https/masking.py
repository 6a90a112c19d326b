"""Secrets that a receiver repeats in its answers are taken out before anybody is told of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote_plus

from gateway.contract import SecretRef

_MASK = "***"
# Shorter ones would be found within ordinary words; whoever has such a secret has none.
_SHORTEST = 6
_MOST = 200


class Masking:
    """Remembers what was looked up, and every form of it that goes out."""

    def __init__(self, secret: Callable[[SecretRef], str]) -> None:
        self._secret = secret
        self._hidden: dict[str, None] = {}

    def secret(self, ref: SecretRef) -> str:
        """As `UplinkContext.secret`."""
        return self.hides(self._secret(ref))

    def hides(self, value: str) -> str:
        """The value itself; the last ones are remembered, because tokens come and go."""
        if len(value) >= _SHORTEST:
            # As it is, as it stands in a form (twice, for the Basic login of OAuth), and as it stands in JSON.
            in_json = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
            for form in (value, quote_plus(value), quote_plus(quote_plus(value)), *in_json):
                self._remember(form)
        return value

    def _remember(self, form: str) -> None:
        self._hidden.pop(form, None)
        self._hidden[form] = None
        if len(self._hidden) > _MOST:
            del self._hidden[next(iter(self._hidden))]

    def masked(self, said: str) -> str:
        """
        >>> hiding = Masking(lambda ref: "s3cret")
        >>> hiding.secret(SecretRef(secret="crm")), hiding.masked('{"got":"Bearer s3cret"}')
        ('s3cret', '{"got":"Bearer ***"}')
        """
        for hidden in sorted(self._hidden, key=len, reverse=True):  # one may stand within another
            said = said.replace(hidden, _MASK)
        return said
