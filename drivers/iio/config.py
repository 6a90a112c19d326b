"""Options of the IIO driver."""

from __future__ import annotations

from pydantic import Field, field_validator

from gateway.contract import Duration, SourceOptions, TagOptions


class IioOptions(SourceOptions):
    """One device of the kernel's Industrial I/O subsystem."""

    iio: str = Field(min_length=1, description="its name (adxl345), or iio:device0 where two have one name")
    sampling_frequency_hz: float | None = Field(None, gt=0, description="samples per second; default: as the device is set")
    trigger: str | None = Field(None, min_length=1, description="name of the trigger that paces the buffer; default: as the device is set")
    block: Duration = Field("2s", ge=0.05, le=60, description="how long a waveform is")  # type: ignore[assignment]
    buffer: Duration = Field("4s", ge=0.1, le=120, description="how much the kernel keeps while the gateway is busy")  # type: ignore[assignment]
    watermark: int | None = Field(None, ge=1, le=65_536, description="samples the sensor's own FIFO gathers before an interrupt")
    poll_seconds: float = Field(1.0, ge=0.01, le=3600, description="how often tags that are no waveforms are read")
    root: str = Field("/", description="where sys and dev are, if not at the root: for containers and tests")

    @field_validator("iio")
    @classmethod
    def _name(cls, value: str) -> str:
        if "/" in value:
            raise ValueError(f"{value!r} is no name; write what `cat /sys/bus/iio/devices/*/name` says, or iio:device0")
        return value


class IioTag(TagOptions):
    """A channel. Its value is raw, plus offset, times scale, as the kernel says: accelerations in m/s²."""

    channel: str = Field(
        pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", description="as in the kernel's files, without in_ and _raw: accel_x, temp"
    )
