"""Our own certificate."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drivers.opcua.certificate import CERTIFICATE, KEY, own_certificate

URI = "urn:gw-1:lineside"


def test_made_once_with_the_uri_as_its_name_and_a_key_nobody_else_reads(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        own = own_certificate(tmp_path / "own", URI)
    finally:
        os.umask(before)
    certificate = x509.load_der_x509_certificate(own.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [URI]
    assert not any(address.is_loopback for address in names.get_values_for_type(x509.IPAddress))
    assert stat.S_IMODE((tmp_path / "own" / KEY).stat().st_mode) == 0o600
    assert load_pem_private_key(own.key, None).public_key() == certificate.public_key()
    assert own.until - datetime.now(UTC) > timedelta(days=3640)
    assert own.file == tmp_path / "own" / CERTIFICATE
    assert own_certificate(tmp_path / "own", URI) == own


def test_another_uri_a_lost_key_a_foreign_key_or_a_damaged_file_makes_a_new_one(tmp_path: Path) -> None:
    first = own_certificate(tmp_path, URI)
    renamed = own_certificate(tmp_path, "urn:gw-2:lineside")
    (tmp_path / KEY).unlink()
    without_key = own_certificate(tmp_path, "urn:gw-2:lineside")
    (tmp_path / KEY).write_bytes(first.key)
    of_another = own_certificate(tmp_path, "urn:gw-2:lineside")
    (tmp_path / CERTIFICATE).write_bytes(b"damaged")
    repaired = own_certificate(tmp_path, "urn:gw-2:lineside")
    assert len({own.certificate for own in (first, renamed, without_key, of_another, repaired)}) == 5
    assert load_pem_private_key(repaired.key, None).public_key() == x509.load_der_x509_certificate(repaired.certificate).public_key()


def test_sources_that_start_at_once_get_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: own_certificate(tmp_path / "own", URI), range(8)))
    assert len({(own.certificate, own.key) for own in made}) == 1


def test_one_of_a_machine_is_taken_over_so_that_no_server_has_to_accept_anew(tmp_path: Path) -> None:
    machine = own_certificate(tmp_path / "sources/cnc-2/pki", URI)
    own_certificate(tmp_path / "sources/cnc-1/pki", "urn:another-host:lineside")
    older = sorted((tmp_path / "sources").glob("*/pki"))
    own = own_certificate(tmp_path / "pki/own", URI, older)
    assert (own.certificate, own.key) == (machine.certificate, machine.key)
    assert own_certificate(tmp_path / "pki/own", URI) == own
