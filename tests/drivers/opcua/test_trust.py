"""Which certificates of a server are taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from drivers.opcua.trust import Shown, Untrusted, check, thumbprint

NOW = datetime(2026, 6, 1, tzinfo=UTC)
URI = "urn:plc:server"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issued:
    """A certificate for the host ``plc``, signed by itself or by `by`."""

    def __init__(self, *, by: Issued | None = None, ca: bool = False, days: tuple[int, int] = (-10, 100), uri: str = URI) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{'ca' if ca else 'plc'} {days} {uri}")])
        names: list[Any] = [x509.UniformResourceIdentifier(uri), x509.DNSName("plc"), x509.IPAddress(ip_address("10.1.4.20"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(by.name if by else self.name)
            .public_key(KEY.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(KEY, hashes.SHA256())
        )
        self.der = certificate.public_bytes(Encoding.DER)


def _try(folder: Path, chain: bytes, how: Any = "list", *, host: str = "plc", uri: str = URI, now: datetime = NOW) -> x509.Certificate:
    return check(Shown(chain, uri, host, f"opc.tcp://{host}:4840"), folder, folder / "pinned.json", how, now)


def _trust(folder: Path, *ders: bytes) -> None:
    (folder / "trusted").mkdir(exist_ok=True)
    for der in ders:
        (folder / "trusted" / f"{thumbprint(der)}.der").write_bytes(der)


def test_an_unknown_one_waits_in_rejected_and_the_command_that_accepts_it_is_named(tmp_path: Path) -> None:
    shown = Issued().der
    with pytest.raises(Untrusted, match=f"is not trusted; if it is the right one: lineside trust accept {thumbprint(shown)[:8]}$"):
        _try(tmp_path, shown)
    waiting = tmp_path / "rejected" / f"{thumbprint(shown)}.der"
    assert waiting.read_bytes() == shown
    (tmp_path / "trusted").mkdir()
    waiting.rename(tmp_path / "trusted" / waiting.name)
    assert _try(tmp_path, shown).public_bytes(Encoding.DER) == shown


def test_the_first_one_is_taken_and_from_then_on_no_other(tmp_path: Path) -> None:
    first, other = Issued().der, Issued(days=(-5, 50)).der
    assert _try(tmp_path, first, "first_use").public_bytes(Encoding.DER) == first
    _try(tmp_path, first, "first_use")
    with pytest.raises(Untrusted, match="is another than the one accepted before"):
        _try(tmp_path, other, "first_use")
    _trust(tmp_path, other)  # somebody accepts it
    assert _try(tmp_path, other, "first_use").public_bytes(Encoding.DER) == other


@pytest.mark.parametrize("damaged", [b"", b"\x00" * 80, b"[]", b'{"opc.tcp://plc:4840": 5}'])
def test_a_damaged_note_of_the_first_one_makes_no_other_the_first(tmp_path: Path, damaged: bytes) -> None:
    first, other = Issued().der, Issued(days=(-5, 50)).der
    _try(tmp_path, first, "first_use")
    (tmp_path / "pinned.json").write_bytes(damaged)
    with pytest.raises(Untrusted, match="is not trusted; if it is the right one"):
        _try(tmp_path, other, "first_use")
    _try(tmp_path, first, "first_use")
    with pytest.raises(Untrusted, match="is another than the one accepted before"):
        _try(tmp_path, other, "first_use")


def test_one_signed_by_a_trusted_authority_is_taken_over_what_the_server_sends_between(tmp_path: Path) -> None:
    root = Issued(ca=True)
    middle = Issued(by=root, ca=True, days=(-9, 99))
    leaf = Issued(by=middle)
    _trust(tmp_path, root.der)
    _try(tmp_path, leaf.der + middle.der)
    with pytest.raises(Untrusted, match="is not trusted"):
        _try(tmp_path, leaf.der)
    with pytest.raises(Untrusted, match=r"for 10\.1\.4\.20, plc, not for other"):
        _try(tmp_path, leaf.der + middle.der, host="other")
    _try(tmp_path, leaf.der + middle.der, host="10.1.4.20")


@pytest.mark.parametrize("content", [b"", b"noise", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None])
def test_a_file_that_is_none_keeps_nobody_else_from_being_trusted(tmp_path: Path, content: bytes | None) -> None:
    """A power cut left it, or somebody copied something else there."""
    root = Issued(ca=True)
    _trust(tmp_path, root.der)
    bad = tmp_path / "trusted" / f"{0:040x}.der"
    bad.mkdir() if content is None else bad.write_bytes(content)
    _try(tmp_path, Issued(by=root).der)
    _try(tmp_path, Issued(days=(-7, 70)).der, "first_use")
    with pytest.raises(Untrusted, match="is not trusted; if it is the right one"):
        _try(tmp_path, Issued(days=(-6, 60)).der)


@pytest.mark.parametrize("name", ["plant-ca.der", "plant-ca.crt", "plant-ca.cer", "plant-ca.pem"])
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM], ids=["der", "pem"])
def test_what_lineside_trust_shows_as_trusted_is(tmp_path: Path, name: str, encoding: Encoding) -> None:
    root = Issued(ca=True)
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / name).write_bytes(x509.load_der_x509_certificate(root.der).public_bytes(encoding))
    _try(tmp_path, Issued(by=root).der)


def test_a_certificate_that_is_no_authority_signs_nothing(tmp_path: Path) -> None:
    machine = Issued()
    _trust(tmp_path, machine.der)
    with pytest.raises(Untrusted, match="is not trusted"):
        _try(tmp_path, Issued(by=machine, days=(-3, 30)).der)


def test_times_are_judged_only_by_a_clock_that_can_be_right(tmp_path: Path) -> None:
    root = Issued(ca=True)
    ended, early = Issued(by=root, days=(-50, -1)), Issued(by=root, days=(1, 50))
    _trust(tmp_path, root.der)
    with pytest.raises(Untrusted, match="ended on 2026-05-31"):
        _try(tmp_path, ended.der)
    with pytest.raises(Untrusted, match="valid from 2026-06-02 on"):
        _try(tmp_path, early.der)
    with pytest.raises(Untrusted, match="clock not trusted: this gateway believes it is 1970-01-02"):
        _try(tmp_path, Issued(by=root).der, now=datetime(1970, 1, 2, tzinfo=UTC))


def test_what_a_person_accepted_is_taken_after_its_end_and_with_a_wrong_clock(tmp_path: Path) -> None:
    ended = Issued(days=(-50, -1)).der
    _trust(tmp_path, ended)
    _try(tmp_path, ended)
    _try(tmp_path, ended, now=datetime(1970, 1, 2, tzinfo=UTC), host="another-name")


def test_a_server_must_be_who_its_certificate_names(tmp_path: Path) -> None:
    shown = Issued().der
    _trust(tmp_path, shown)
    with pytest.raises(Untrusted, match="calls itself urn:mallory, its certificate is for urn:plc:server"):
        _try(tmp_path, shown, uri="urn:mallory")


@pytest.mark.parametrize("chain", [b"", b"\x30\x82", b"\x30\x82\xff\xff" + b"\x00" * 9, b"noise"])
def test_what_is_no_certificate_is_not_trusted(tmp_path: Path, chain: bytes) -> None:
    with pytest.raises(Untrusted):
        _try(tmp_path, chain, "first_use")


def test_a_server_with_ever_new_certificates_does_not_fill_the_disk(tmp_path: Path) -> None:
    (tmp_path / "rejected").mkdir()
    for number in range(150):
        (tmp_path / "rejected" / f"{number:040x}.der").write_bytes(b"old")
    with pytest.raises(Untrusted):
        _try(tmp_path, Issued().der)
    assert len(list((tmp_path / "rejected").glob("*.der"))) == 101
