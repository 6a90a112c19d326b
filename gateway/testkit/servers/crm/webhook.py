"""A receiver of Standard Webhooks that believes nothing it cannot verify."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.testkit.servers.crm.site import Answer, Seen, Site

TOLERANCE_SECONDS = 300


class WebhookInbox(Site):
    """`accepted` by webhook-id. Takes a request when any of its keys verifies any of the signatures.

    keys  ``whsec_...`` for HMAC, ``whpk_...`` for ed25519
    now   the receiver's clock, seconds; None: the time of the signature is not looked at
    """

    def __init__(self, *keys: str, now: float | None = None, **given: Any) -> None:
        super().__init__(door=self._verified, **given)
        self.keys, self.now = list(keys), now
        self.accepted: dict[str, Any] = {}
        self.repeats = 0

    async def answer(self, seen: Seen) -> Answer:
        id_ = seen.headers["webhook-id"]
        self.repeats += id_ in self.accepted
        self.accepted[id_] = seen.document
        return Answer(204)

    def _verified(self, seen: Seen) -> bool:
        id_, stamp, signatures = (seen.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        if not id_ or "." in id_ or not stamp.isdigit() or not signatures:
            return False
        if self.now is not None and abs(int(stamp) - self.now) > TOLERANCE_SECONDS:
            return False
        signed = f"{id_}.{stamp}.".encode() + seen.body
        return any(_fits(key, signature, signed) for key in self.keys for signature in signatures.split(" "))


def _fits(key: str, signature: str, signed: bytes) -> bool:
    version, _, encoded = signature.partition(",")
    raw, secret = base64.b64decode(encoded), base64.b64decode(key.partition("_")[2])
    if key.startswith("whsec_"):
        return version == "v1" and hmac.compare_digest(hmac.digest(secret, signed, sha256), raw)
    try:
        Ed25519PublicKey.from_public_bytes(secret).verify(raw, signed)
    except InvalidSignature:
        return False
    return version == "v1a"
