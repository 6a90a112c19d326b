"""How we log in and encrypt: the library's arguments, checked before it sees them."""

from __future__ import annotations

import re
import ssl
from typing import Any

from nats.aio.client import RawCredentials

from gateway.contract import NotConnected, SecretRef, UplinkContext
from gateway.uplink.nats.config import NatsOptions

# As the library looks for them; without the first it would read for ever, without the second it fails with a TypeError.
_CREDENTIALS = re.compile(r"BEGIN NATS USER JWT-+\n\s*[\w-]+\.[\w-]+\.[\w-]+\s*\n.*BEGIN USER NKEY SEED-+\n([A-Z2-7]+)\s*\n", re.DOTALL)


def arguments(options: NatsOptions, context: UplinkContext) -> dict[str, Any]:
    """For `Client.connect`; raises NotConnected for what cannot work, without a word of the secret."""
    return _login(options, context) | _encryption(options)


def _login(options: NatsOptions, context: UplinkContext) -> dict[str, Any]:
    if options.credentials:
        # A last line without its end would lose its last letter.
        content = context.secret(options.credentials).replace("\r\n", "\n") + "\n"
        found = _CREDENTIALS.search(content)
        if not found:
            raise NotConnected(options.nats, f"secret {options.credentials.secret} is not the content of a .creds file")
        _checked_seed(found[1], options.nats, options.credentials)
        return {"user_credentials": RawCredentials(content)}
    if options.nkey:
        seed = context.secret(options.nkey).strip()
        _checked_seed(seed, options.nats, options.nkey)
        return {"nkeys_seed_str": seed}
    if options.user and options.password:
        return {"user": options.user, "password": context.secret(options.password)}
    if options.token:
        return {"token": context.secret(options.token)}
    return {}


def _checked_seed(seed: str, peer: str, ref: SecretRef) -> None:
    import nkeys  # with libsodium, which only who logs in with one has to carry

    try:
        user = seed.startswith("SU") and nkeys.from_seed(bytearray(seed.encode()))
    except (nkeys.NkeysError, ValueError, TypeError):
        user = None
    if not user:
        raise NotConnected(peer, f"secret {ref.secret} holds no seed of a user's nkey; it begins with SU")


def _encryption(options: NatsOptions) -> dict[str, Any]:
    if not options.encrypted:
        return {}
    try:
        tls = ssl.create_default_context(cafile=options.ca)
    except (OSError, ValueError) as exc:
        raise NotConnected(options.nats, f"ca {options.ca}: {_why(exc)}") from exc
    if options.client_certificate and options.client_key:
        try:
            # With a password given, an encrypted key does not ask for one on the terminal.
            tls.load_cert_chain(options.client_certificate, options.client_key, password="")
        except (OSError, ValueError) as exc:
            files = f"client_certificate {options.client_certificate}, client_key {options.client_key}"
            raise NotConnected(options.nats, f"{files}: {_why(exc)}") from exc
    return {"tls": tls, "tls_handshake_first": options.tls_first}


def _why(exc: BaseException) -> str:
    if isinstance(exc, ssl.SSLError):
        return f"not PEM, or they do not belong together ({exc.reason or exc})"
    return (exc.strerror or str(exc)).lower() if isinstance(exc, OSError) else str(exc)
