"""Options of what an answer means."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.contract import Duration, StrictModel
from gateway.uplink.https.checked import Condition, HeaderName, JsonPath, Template

Status = Annotated[int, Field(ge=100, le=599)]


class MatchRule(StrictModel):
    """An answer or an item with this status and this code; what is not given is not looked at."""

    status: Status | None = None
    code: str | None = Field(None, min_length=1, description="with * as wildcard")
    message: str | None = Field(None, min_length=1, description="of its text and the names of its fields, with * as wildcard")

    @model_validator(mode="after")
    def _says_something(self) -> MatchRule:
        if self.status is None and self.code is None:
            raise ValueError("give a status, a code, or both")
        return self


class QuotaRule(MatchRule):
    """An allowance is used up: nothing is sent for a while, and no event is to blame."""

    hold: Literal["next_hour"] | Duration = Field("15m", description="how long, if it does not say")  # type: ignore[arg-type]


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Paths = Annotated[list[JsonPath], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]), Field(max_length=10)]
"""One path or several; the first that leads to something is taken."""


class ErrorPaths(StrictModel):
    """Where the receiver says what is wrong, in the body of an answer for the whole request."""

    code: Paths = Field(default_factory=list, description="for example $[0].errorCode")
    message: Paths = Field(default_factory=list, description="for example $[0].message")
    fields: Paths = Field(default_factory=list, description="names of the fields that are wrong, one or a list")


class PerItem(ErrorPaths):
    """An answer that says for each event what came of it, in order, or by name with `id`."""

    path: JsonPath = Field("$", description="where the array of results is")
    ok: Condition | None = Field(None, description="on each result: when it counts as taken, for example success == true")
    id: JsonPath | None = Field(None, description="on each result: which event it is of; default: they come in the order of the events")
    event: Template | None = Field(None, description="what `id` is compared with; default: body.key, else the event's id")
    failed: JsonPath | None = Field(None, description="where the array of failures is, if they are not among the results")
    failed_id: JsonPath | None = Field(None, description="on each failure: which event or events it is of; default: `id`")

    @model_validator(mode="after")
    def _is_positive(self) -> PerItem:
        if self.ok is None and self.id is None:
            raise ValueError("per_item needs `ok`, or `id`: success is what the receiver says, not what it leaves out")
        if self.failed is not None and self.id is None:
            raise ValueError("per_item.failed needs `id`: failures that stand elsewhere are in no order")
        return self


def _regex(value: str) -> str:
    try:
        found = re.compile(value)
    except re.error as exc:
        raise ValueError(f"is no regular expression: {exc}") from exc
    if found.groups != 2:
        raise ValueError("needs two groups: what is used, and the limit")
    return value


class UsageOptions(StrictModel):
    """A header that says how much of an allowance is used up."""

    header: HeaderName
    regex: Annotated[str, AfterValidator(_regex)] = Field(description="two groups: used, limit; for example api-usage=(\\d+)/(\\d+)")


class ResultOptions(StrictModel):
    """From answers to outcomes; looked at in this order: gone, auth, quota, duplicate_ok, retryable, hold, and the rest is parked."""

    ok: Condition | None = Field(None, description="on the body of a 2xx: when the request counts as taken; default: always")
    per_item: PerItem | None = Field(None, description="what the answer says of each event")
    error: ErrorPaths = Field(default_factory=ErrorPaths, description="what the answer says of the whole request")
    gone: list[Status] = Field(default=[410], description="the address is gone for good")
    auth_status: list[Status] = Field(default=[401], description="the login is refused; with OAuth after one new login")
    auth_codes: list[str] = Field(default_factory=list, description="codes that say the same")
    quota: list[QuotaRule] = Field(default_factory=list, description="answers that say that an allowance is used up")
    duplicate_ok: list[MatchRule] = Field(
        default_factory=list,
        description="answers that say that the event is there already, of a receiver that knows it by Idempotency-Key or id",
    )
    retryable_status: list[Status] = Field(default=[408, 409, 425, 429, 500, 502, 503, 504], description="try again later")
    retryable_codes: list[str] = Field(default_factory=list, description="codes that say the same")
    retryable: list[MatchRule] = Field(default_factory=list, description="answers that say the same, for where a code alone does not tell")
    hold_status: list[Status] = Field(default=[402, 403, 404, 405, 407, 415], description="nothing an event could be guilty of")
    hold_codes: list[str] = Field(default_factory=list, description="codes that say the same, for example a permission that is missing")
    drift_codes: list[str] = Field(
        default_factory=list, description="refusals that mean, when all events have them, that the receiver was changed; default: all codes"
    )
    no_per_item: Literal["bisect", "whole"] = Field("bisect", description="a request that is refused: halve it, or park all of it")
    usage: UsageOptions | None = Field(None, description="how much of the receiver's allowance is used up")
    longest_answer: int = Field(4 << 20, ge=1000, le=64 << 20, description="bytes of an answer that are read, at most")
