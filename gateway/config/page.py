"""The page's options: read, checked, and what TLS makes of them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.config.document import Reader, Spot
from gateway.config.model import PageModel
from gateway.config.settings import PageTls, WebSettings
from gateway.contract import ConfigError, SecretRef, secret_file

WHERE = ("gateway", "page")


def read_page(reader: Reader, folder: Path) -> WebSettings | None:
    """None: there is none, or it is wrong, which was noted."""
    gateway = reader.data.get("gateway")
    given = gateway.get("page") if isinstance(gateway, Mapping) else None
    if given == "off":
        return None
    model = reader.validate(PageModel, given if isinstance(given, Mapping) else {}, Spot(WHERE))
    if model is None:
        return None
    found = of_model(model, folder)
    if found.security_txt is not None:
        try:
            found.security_txt.read_bytes()
        except OSError as exc:
            reader.problem((*WHERE, "security_txt"), f"{found.security_txt} cannot be read: {exc.strerror}")
    return found


def of_model(model: PageModel, folder: Path) -> WebSettings:
    tls = PageTls(folder / model.tls.certificate, model.tls.key) if model.tls is not None else None
    return WebSettings(
        host=model.host,
        port=model.port,
        tls=tls,
        lock_after=model.lock_after,
        lock_viewers_after=model.lock_after if model.lock_viewers_after is None else model.lock_viewers_after,
        longest_session=model.longest_session,
        banner=model.banner,
        security_txt=None if model.security_txt is None else folder / model.security_txt,
    )


def check_tls(reader: Reader, page: WebSettings | None, secret: Callable[[SecretRef], str]) -> None:
    """Notes what is wrong with certificate and key. That the secret is there was looked at before."""
    if page is None or page.tls is None:
        return
    try:
        key = secret(page.tls.key)
    except ConfigError:
        return
    try:
        present(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), page.tls.certificate, key)
    except ConfigError as exc:
        reader.problem((*WHERE, "tls", "certificate"), str(exc))


def server_tls(tls: PageTls, secret: Callable[[SecretRef], str]) -> ssl.SSLContext:
    """TLS 1.2 and up, the ciphers Python thinks well of. Raises ConfigError, without a word of the key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    present(context, tls.certificate, secret(tls.key))
    return context


def present(context: ssl.SSLContext, certificate: Path, key: str) -> None:
    """From the next handshake on. Raises ConfigError."""
    try:
        with secret_file(key) as file:
            # With a password given, an encrypted key does not ask for one on the terminal.
            context.load_cert_chain(certificate, file, password="")
    except ssl.SSLError as exc:
        raise ConfigError(f"{certificate} and the key are not PEM, or do not belong together") from exc
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{certificate} cannot be used: {getattr(exc, 'strerror', None) or exc}") from exc
