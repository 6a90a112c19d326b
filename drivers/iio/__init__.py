"""Sensors of the Linux Industrial I/O subsystem: MEMS accelerometers on SPI or I2C, and whatever else has an IIO driver."""

from __future__ import annotations

from drivers.iio.config import IioOptions, IioTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: IioOptions, context: SourceContext) -> Source:
    from drivers.iio.source import IioSource

    return IioSource(options, context)


plugin = SourcePlugin(name="iio", options=IioOptions, tag=IioTag, build=build)
