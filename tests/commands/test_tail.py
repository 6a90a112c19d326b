"""`lineside tail` and the login: what it says when it is not let in, and what it never says."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from gateway.cli import main

NOBODY = "http://127.0.0.1:1"


def said(token: str | None, url: str) -> str:
    result = CliRunner().invoke(main, ["tail", "--url", url, "--count", "1"], env={"LINESIDE_TOKEN": token})
    assert result.exit_code == 1
    return result.output


@pytest.mark.parametrize("token", ["s3cr3t\nx", "s3cr3t\x01", "s3cr3té"])
def test_what_is_no_token_is_not_said_again(token: str) -> None:
    assert said(token, NOBODY) == "what stands in $LINESIDE_TOKEN is no token\n"
