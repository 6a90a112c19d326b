"""Base models of everything a plant engineer writes in YAML.

A plugin's own options subclass these. Unknown keys are errors, values are frozen, an option carries its unit
in its name (`poll_seconds`) or is a `Duration` that is written with one (`30s`).
"""

from __future__ import annotations

import re
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from gateway.contract.windows import PATTERN, window

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST = 10 * 366 * 86400.0


def seconds(text: object) -> object:
    """``"30s"`` is 30.0; also ms, m, h, d, w and sums (``"1h 30m"``). Anything else is left to pydantic to refuse.

    >>> seconds("1h 30m"), seconds("250ms")
    (5400.0, 0.25)
    """
    if not isinstance(text, str):
        raise ValueError("write a duration with its unit, for example 30s, 5m or 2h")
    found = _DURATION.findall(text)
    if not found or _DURATION.sub("", text).strip():
        raise ValueError("not a duration; write for example 250ms, 30s, 5m, 2h, 1d")
    total = sum(float(number) * _SECONDS[unit] for number, unit in found)
    if total > _LONGEST:
        raise ValueError("longer than ten years")
    return total


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    Field(ge=0),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$", "examples": ["30s", "2h"]}),
]
"""Seconds as float; written ``30s``."""


class StrictModel(BaseModel):
    """Frozen, unknown keys refused, defaults validated; no number is NaN or infinite. Validators are built when they are first used."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, populate_by_name=True, allow_inf_nan=False, defer_build=True
    )


class SecretRef(StrictModel):
    """A secret is named, never written: ``password: {secret: cnc02_password}``."""

    secret: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="name of a systemd credential, environment variable or file")


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError(f"the lower end {pair[0]:g} must be below the upper end {pair[1]:g}")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _window(text: str) -> str:
    window(text)
    return text


WeekWindow = Annotated[
    str,
    AfterValidator(_window),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["sat 06:00-14:00", "daily 02:00-02:30"]}),
]
"""A window of the week in plant time, see `windows.py`."""


class SourceOptions(StrictModel):
    """Common to every source. The plugin's name is also a field of its subclass: ``modbus: "tcp://10.1.4.7:502"``."""

    when_full: Literal["drop_oldest", "block"] = Field(
        "drop_oldest", description="when the gateway is too slow: drop the oldest readings and count them, or make the source wait"
    )
    clock: Literal["flag", "gateway"] = Field(
        "flag", description="a time that no clock of today shows: the reading is bad, or gets the gateway's time and is marked so"
    )
    reorder: Duration = Field("0s", le=60, description="readings wait this long to be put in the order of their time")  # type: ignore[assignment]
    lost_after: Duration = Field("30s", description="not connected for this long is an incident")  # type: ignore[assignment]
    silent_after: Duration | None = Field(  # type: ignore[assignment]
        "10m", description="connected, and no reading for this long is an incident; null = never"
    )
    isolated: bool | None = Field(
        None, description="read in a process of its own, which is stopped when it hangs or takes too much; default: drivers of others are"
    )
    isolated_megabytes: int = Field(256, ge=64, le=4096, description="memory that process may take beside what Python itself takes")
    isolated_silence: Duration = Field(  # type: ignore[assignment]
        "10s", ge=1, le=300, description="how long that process may do nothing but compute before it is stopped"
    )


class TagOptions(StrictModel):
    """Common to every tag; a driver adds where to find it (`at`, `node`, `topic`)."""

    kind: Literal["gauge", "counter", "state", "waveform"] = "gauge"
    unit: str = ""
    scale: float = Field(1.0, description="value = raw * scale + offset")
    offset: float = 0.0
    range: Range | None = Field(None, description="physical range in engineering units; a value outside is bad, not an alarm")
    deadband: float = Field(0.0, ge=0, description="changes smaller than this are not passed on, in engineering units")
    heartbeat: Duration = Field("1m", description="an unchanged value is passed on at least this often")  # type: ignore[assignment]
    stuck_after: Duration | None = Field(None, description="a value that has not moved at all for this long is bad")
    max_step: float | None = Field(
        None, gt=0, description="largest believable change between two readings: what jumps further is bad until a second one agrees"
    )
    writable: Range | None = Field(
        None, description="`lineside write` may set it, within these limits, in engineering units; without, the tag is never written"
    )


class RecordOptions(StrictModel):
    """Common to every record (business message) of a source."""


class FeedbackOptions(StrictModel):
    """How far verdicts may move a threshold."""

    step: float = Field(0.05, gt=0, le=0.5, description="a false alarm raises the threshold of its condition by this share")
    at_most: float = Field(0.25, gt=0, le=2, description="all of them together by no more than this share")


class WatchOptions(StrictModel):
    """Common to every detector."""

    on: Annotated[list[str], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])] = Field(
        min_length=1, description="machine/tag, with * and ? as wildcards; one or a list"
    )
    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="default: the detector's name and its number")
    only_when: str | None = Field(None, description="look and learn only while this holds, for example: running == 1 and speed > 300")
    settle: Duration = Field("0s", description="and for this long after it began to hold")  # type: ignore[assignment]
    hold: Duration | None = Field(None, description="raise only after the condition held this long")
    clear_after: Duration | None = Field(None, description="close the incident after the condition was over this long")
    blackout: Annotated[list[WeekWindow], BeforeValidator(_one_or_many, json_schema_input_type=WeekWindow | list[WeekWindow])] = Field(
        default_factory=list, description="windows in plant time in which it neither looks nor learns, and raises nothing; one or a list"
    )
    shadow: bool = Field(False, description="on trial: it computes, learns and is counted, and raises nothing")
    feedback: FeedbackOptions | None = Field(None, description="let verdicts move its thresholds, within these bounds; default: never")


class FrameWatchOptions(WatchOptions):
    """For detectors that take a machine's tags side by side (`Frame`)."""

    every: Duration = Field("1s", gt=0, description="the tick rows are aligned on")  # type: ignore[assignment]
    valid_for: Duration = Field("1m", description="how long a last value stands for its tag; afterwards it is missing")  # type: ignore[assignment]


class RationedWatchOptions(FrameWatchOptions):
    """For slow detectors of frames that may become too dear: see `Rationed`."""

    budget: Duration = Field(  # type: ignore[assignment]
        "100ms", gt=0, le=1, description="computing time it may use per second; rows beyond it are skipped, counted and told"
    )


class BlockWatchOptions(WatchOptions):
    """For detectors that take blocks of fast channels (`Waveform`): which of them are looked at."""

    every: Duration | None = Field(
        None, description="look at one block of each channel in this time; default: each, or with `trigger` none but those", gt=0
    )
    trigger: str | None = Field(
        None, description="look at one block of each channel whenever this begins to hold, for example: calm == 1; besides `every`"
    )
    load: str | None = Field(None, description="tag of each machine watched that tells its load, in any unit; blocks carry its last value")
    steady: float | None = Field(
        0.05, gt=0, description="leave a block out if the speed tag changed by more than this share during it; null: never"
    )


class Filter(StrictModel):
    """Which events a destination wants; all given parts must hold."""

    severity: Literal[">=info", ">=warning", ">=error", ">=critical"] = ">=info"
    types: list[str] = Field(default_factory=list, description="event types with * as wildcard; empty = all")


class RetryOptions(StrictModel):
    """What happens after a failure: a wait that doubles with jitter, and after some failures in a row the breaker opens."""

    first: Duration = Field("500ms", gt=0, description="the wait after the first failure, at most; it doubles each time")  # type: ignore[assignment]
    longest: Duration = Field("1m", gt=0, description="the longest wait between two attempts")  # type: ignore[assignment]
    failures: int = Field(5, ge=1, le=100, description="in a row, after which nothing but single probes is sent")
    longest_hold: Duration = Field("6h", gt=0, description="the longest wait a receiver may ask for")  # type: ignore[assignment]


class BudgetOptions(StrictModel):
    """How much a destination may be given; what is over the budget is rolled up into one summary per machine."""

    per_hour: int | None = Field(None, ge=1, description="events")
    per_day: int | None = Field(None, ge=1, description="events")
    per_machine_and_day: int | None = Field(None, ge=1, description="events of one machine")
    reserve: float = Field(0.2, ge=0, lt=1, description="share that only critical events may use, also of the receiver's own allowance")

    @model_validator(mode="after")
    def _leaves_one(self) -> Self:
        for name in ("per_hour", "per_day", "per_machine_and_day"):
            limit = getattr(self, name)
            if limit is not None and limit - self.reserve * limit < 1 - 1e-9:
                least = ceil(1 / (1 - self.reserve) - 1e-9)
                raise ValueError(
                    f"{name}: {limit} with reserve: {self.reserve:g} leaves less than one event for what is not critical, so none would "
                    f"ever be sent; make {name} at least {least}, or the reserve smaller"
                )
        return self


class UplinkOptions(StrictModel):
    """Common to every destination under ``deliver``."""

    when: Filter | None = Field(None, description="which events go there; default all")
    timeout: Duration = Field("10s", gt=0, description="how long a receiver may take before it counts as hung")  # type: ignore[assignment]
    batch: int = Field(200, ge=1, le=10_000, description="events handed over at once, at most")
    linger: Duration = Field("0s", description="how long events may wait for more to fill the batch; critical ones do not")  # type: ignore[assignment]
    max_age: Duration | None = Field(None, description="an event recorded longer ago is not sent but kept as an expired dead letter")
    backlog_per_second: float | None = Field(
        None, gt=0, description="after an outage: new events first, the backlog behind them at this rate; default: all in order, at once"
    )
    budget: BudgetOptions | None = Field(None, description="how many events it may be given; default: as many as there are")
    retry: RetryOptions = Field(default_factory=RetryOptions, description="waits after failures")
    fallback_for: str | None = Field(None, description="the destination whose events this one takes over while that one is down")
    fallback_after: Duration = Field("10m", description="how long it must be down for that")  # type: ignore[assignment]


class Bearing(StrictModel):
    """A rolling bearing, by designation or by geometry, and where its shaft speed is known from."""

    designation: str | None = Field(None, examples=["SKF 6205"])
    balls: int | None = Field(None, ge=3, le=100)
    ball_diameter: float | None = Field(None, gt=0, description="same unit as pitch_diameter")
    pitch_diameter: float | None = Field(None, gt=0)
    contact_angle: float = Field(0.0, ge=0, lt=90, description="degrees")
    speed: str | float | None = Field(
        None, description="a tag of this machine in rpm, or a fixed number of rpm; none: a tacho or the spectrum tells it"
    )
