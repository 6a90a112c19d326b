"""A certificate authority of a test, and its certificate for this machine."""

from __future__ import annotations

import ssl

from gateway.testkit import temporary


class Authority:
    """`file` holds the authority's certificate (PEM)."""

    def __init__(self) -> None:
        import trustme

        self._authority = trustme.CA()
        self.file = temporary.folder("ca") / "ca.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return context
