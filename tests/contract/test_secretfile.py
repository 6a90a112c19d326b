"""A secret that a library can read as a file, and nobody afterwards."""

from __future__ import annotations

from pathlib import Path

from gateway.contract import secret_file


def test_it_is_there_as_long_as_the_block_and_on_no_disk() -> None:
    with secret_file("-----BEGIN KEY-----") as name:
        path = Path(name)
        assert path.read_text() == "-----BEGIN KEY-----\n"
        assert path.read_text() == "-----BEGIN KEY-----\n", "twice: OpenSSL reads certificate and key"
        assert str(path.readlink()).startswith("/memfd:")
    assert not path.exists()
