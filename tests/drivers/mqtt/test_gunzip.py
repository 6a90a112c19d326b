"""Compressed payloads of others."""

from __future__ import annotations

import gzip

import pytest

from drivers.mqtt.gunzip import MOST_MEMBERS, TooLarge, gunzip


def test_members_one_behind_the_other_are_one_content() -> None:
    assert gunzip(gzip.compress(b"21") + gzip.compress(b".5"), 100) == b"21.5"


def test_very_many_members_are_no_payload() -> None:
    """Each would cost what is left of the payload: a megabyte of empty ones took seconds, in which nothing else ran."""
    assert gunzip(gzip.compress(b"1") * MOST_MEMBERS, 1000) == b"1" * MOST_MEMBERS
    assert gunzip(gzip.compress(b"1") * (MOST_MEMBERS + 1), 1000) == b""


@pytest.mark.parametrize("content", [b"\0" * 10_000_000, b"a" * 101])
def test_what_becomes_too_large_is_not_made(content: bytes) -> None:
    with pytest.raises(TooLarge):
        gunzip(gzip.compress(content), 100)
