"""Our own certificate."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drivers.opcua.certificate import CERTIFICATE, KEY, own_certificate

URI = "urn:gw-1:lineside"


def test_made_once_with_the_uri_as_its_name_and_a_key_nobody_else_reads(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        der, pem = own_certificate(tmp_path / "pki", URI)
    finally:
        os.umask(before)
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [URI]
    assert stat.S_IMODE((tmp_path / "pki" / KEY).stat().st_mode) == 0o600
    assert load_pem_private_key(pem, None).public_key() == certificate.public_key()
    assert certificate.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3640)
    assert own_certificate(tmp_path / "pki", URI) == (der, pem)


def test_another_uri_a_lost_key_or_a_damaged_file_makes_a_new_one(tmp_path: Path) -> None:
    first, _ = own_certificate(tmp_path, URI)
    renamed, _ = own_certificate(tmp_path, "urn:gw-2:lineside")
    (tmp_path / KEY).unlink()
    without_key, _ = own_certificate(tmp_path, "urn:gw-2:lineside")
    (tmp_path / CERTIFICATE).write_bytes(b"damaged")
    repaired, pem = own_certificate(tmp_path, "urn:gw-2:lineside")
    assert len({first, renamed, without_key, repaired}) == 4
    assert load_pem_private_key(pem, None).public_key() == x509.load_der_x509_certificate(repaired).public_key()
