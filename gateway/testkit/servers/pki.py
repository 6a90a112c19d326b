"""Certificates for tests: a good authority, a stranger's, expired ones, and contexts of servers that use them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Pki:
    """Everything is written into `folder`, each file when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority, self._stranger = trustme.CA(), trustme.CA()
        self.ca = self._file("ca.pem", self._authority.cert_pem.bytes())
        self.other_ca = self._file("other-ca.pem", self._stranger.cert_pem.bytes())

    def server(self, *names: str, expired: bool = False, asks_for_client: bool = False) -> ssl.SSLContext:
        """Of a server called `names`, default localhost and 127.0.0.1; with `asks_for_client` only known clients come in."""
        names = names or ("localhost", "127.0.0.1")
        leaf = self._authority.issue_cert(*names, not_before=_days(-30), not_after=_days(-1) if expired else _days(30))
        return self._context(leaf, asks_for_client)

    def strange_server(self) -> ssl.SSLContext:
        """Signed by an authority that nobody trusts, as a self-signed certificate is."""
        return self._context(self._stranger.issue_cert("localhost", "127.0.0.1"), False)

    def client(self, name: str = "edge", *, strange: bool = False) -> tuple[Path, str]:
        """A file with the certificate and its chain, and the private key as PEM text."""
        leaf = (self._stranger if strange else self._authority).issue_cert(f"{name}@plant.example")
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return self._file(f"{name}{'-strange' if strange else ''}.pem", chain), leaf.private_key_pem.bytes().decode()

    def _context(self, leaf: trustme.LeafCert, asks_for_client: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        if asks_for_client:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


def _days(count: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=count)
