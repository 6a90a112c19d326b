"""Options of HTTP ingest."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drivers.rows.options import RowOptions
from gateway.contract import Duration, SecretRef


class HttpOptions(RowOptions):
    """What is posted to ``/ingest/<machine>`` of the gateway's own page."""

    http: Literal["ingest"] = Field(description="ingest: rows come as POST /ingest/<machine> to the address of the gateway's page")
    token: SecretRef = Field(description="who may post: Authorization: Bearer, or the password of Basic")
    answer_within: Duration = Field("20s", ge=1, le=300, description="a post that is not on disk by then is answered 503")  # type: ignore[assignment]
    max_waiting: int = Field(100, ge=1, le=10_000, description="posts that wait; one more is answered 503")
    remember: Duration = Field("1d", description="how long an Idempotency-Key is known")  # type: ignore[assignment]
    remember_keys: int = Field(10_000, ge=1, le=200_000, description="how many are; the oldest are forgotten first")
