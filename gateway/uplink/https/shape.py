"""Options of the body: what an event becomes, and how many of them one request holds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from gateway.contract import StrictModel
from gateway.uplink.https.checked import Item, JsonPath, Template
from gateway.uplink.https.paths import parse

SINGLE = ("single", "cloudevents-structured", "cloudevents-binary")


class AlsoOptions(StrictModel):
    """More fields for the events of some types."""

    types: list[str] = Field(min_length=1, description="event types with * as wildcard, for example *.cleared.*")
    item: Item = Field(description="fields that are added to body.item, or put in place of its fields")


class BodyOptions(StrictModel):
    """One request's body."""

    form: Literal["single", "array", "array-in", "ndjson", "cloudevents-structured", "cloudevents-binary", "cloudevents-batch"] = Field(
        "cloudevents-structured", description="how events are put into a request"
    )
    path: JsonPath | None = Field(None, description="array-in: where in the body the array goes, for example records")
    wrap: dict[str, Any] = Field(default_factory=dict, description="array-in: what else the body holds")
    item: Item | None = Field(None, description="what an event becomes, with templates; default: the CloudEvent in JSON")
    also: list[AlsoOptions] = Field(default_factory=list, description="more fields for events of some types")
    key: Template | None = Field(None, description="the upsert key; two events of one key are never in one request")
    coalesce: bool = Field(False, description="events of one key in one request become one: later fields replace earlier ones")
    content_type: str | None = Field(None, pattern=r"^[\w.+-]+/[\w.+-]+(; ?charset=utf-8)?$", description="default: what fits the form")
    max_items: int = Field(10_000, ge=1, le=10_000, description="events in one request, at most")
    max_bytes: int | None = Field(None, ge=1000, description="bytes of one body, at most; an event that is larger alone is parked")
    group_by: Template | None = Field(None, description="a template; events of one request have the same value")

    @model_validator(mode="after")
    def _belongs_together(self) -> BodyOptions:
        in_path, events = self.form == "array-in", self.form.startswith("cloudevents")
        if in_path and not (self.path and all(isinstance(key, str) for key in parse(self.path))):
            raise ValueError("form array-in needs body.path, the names that lead to the array, for example records")
        if not in_path and (self.path is not None or self.wrap):
            raise ValueError("body.path and body.wrap are for form array-in")
        if events and (self.item or self.also):
            raise ValueError(f"form {self.form} sends the CloudEvent as it is; body.item and body.also are for the other forms")
        if self.also and self.item is None:
            raise ValueError("body.also adds to body.item, which is missing")
        if self.coalesce and (self.key is None or self.item is None or self.form in SINGLE):
            raise ValueError("body.coalesce needs body.key, body.item and a form of many events")
        return self
