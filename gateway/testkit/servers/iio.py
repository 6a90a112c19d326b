"""A folder that looks like /sys and /dev to the IIO driver: an accelerometer of three axes with a temperature; its buffer is a FIFO."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

SCALE = 0.0383


class Accelerometer:
    """An ADXL345 as its driver shows it: 13 bits in 16, 3200 Hz. `start` makes the files, `stop` takes them away."""

    def __init__(self, root: Path, *, name: str = "adxl345", number: int = 0) -> None:
        self.root, self.name = root, name
        self.path = root / "sys/bus/iio/devices" / f"iio:device{number}"
        self._node = root / "dev" / f"iio:device{number}"
        self._fd: int | None = None

    def start(self) -> None:
        files = {
            "name": self.name,
            "sampling_frequency": "3200.000000",
            "sampling_frequency_available": "800 1600 3200",
            "in_accel_scale": str(SCALE),
            "in_accel_x_offset": "2",
            "in_temp_raw": "2150",
            "in_temp_scale": "10",
            "current_timestamp_clock": "realtime\n",
            "buffer/enable": "0\n",
            "buffer/length": "2",
            "buffer/watermark": "1",
            "trigger/current_trigger": "",
            "scan_elements/in_timestamp_en": "0",
            "scan_elements/in_timestamp_index": "3",
            "scan_elements/in_timestamp_type": "le:s64/64>>0",
        }
        for index, axis in enumerate("xyz"):
            files |= {
                f"in_accel_{axis}_raw": "10",
                f"scan_elements/in_accel_{axis}_en": "1",
                f"scan_elements/in_accel_{axis}_index": str(index),
                f"scan_elements/in_accel_{axis}_type": "le:s13/16>>0",
            }
        for name, text in files.items():
            self.set(name, text)
        self._node.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self._node)
        self._fd = os.open(self._node, os.O_RDWR | os.O_NONBLOCK)

    def stop(self) -> None:
        """Unplugged: the files are gone, and whoever has it open reads its end."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        self._node.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def set(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def text(self, name: str) -> str:
        return (self.path / name).read_text()

    def sample(self, x: ArrayLike, y: ArrayLike = 0, z: ArrayLike = 0, *, t_ns: ArrayLike) -> None:
        """Scans of the axes that are switched on, with their times, as raw numbers into the buffer."""
        times = np.atleast_1d(np.asarray(t_ns, dtype=np.int64))
        on = [axis for axis in "xyz" if self.text(f"scan_elements/in_accel_{axis}_en") == "1"]
        offsets = [*range(0, 2 * len(on), 2), 8]
        scan = np.dtype({"names": [*on, "t"], "formats": ["<i2"] * len(on) + ["<i8"], "offsets": offsets, "itemsize": 16})
        scans = np.zeros(len(times), dtype=scan)
        for name, numbers in ({"x": x, "y": y, "z": z, "t": times}).items():
            if name in (*on, "t"):
                scans[name] = numbers
        self.raw(scans.tobytes())

    def raw(self, data: bytes) -> None:
        """What does not fit into the pipe any more is an error of the test."""
        assert self._fd is not None, "not started"
        assert os.write(self._fd, data) == len(data), "the pipe is full"
