"""A serial device as an asyncio transport. pyserial sets it up; reading and writing are the loop's."""

from __future__ import annotations

import asyncio
import errno
import os
import termios
from collections.abc import Callable

import serial

from drivers.modbus.endpoint import Serial
from drivers.modbus.link import Link


class SerialPort:
    """Frames have at most 513 bytes and one is under way, so the kernel's buffer of 4096 takes each at once."""

    def __init__(self, device: serial.Serial, link: Link) -> None:
        self._device, self._link = device, link
        self._fd: int = device.fileno()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)
        link.connection_made(self)

    def write(self, data: bytes) -> None:
        try:
            sent = os.write(self._fd, data)
        except OSError as exc:
            self._end(exc)
            return
        if sent < len(data):
            self._end(OSError("the device takes no more bytes"))

    def abort(self) -> None:
        if self._device.is_open:
            self._loop.remove_reader(self._fd)
            self._device.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError as exc:
            self._end(exc)
            return
        if data:
            self._link.data_received(data)
        else:
            self._end(None)

    def _end(self, exc: Exception | None) -> None:
        if self._device.is_open:
            self.abort()
            self._link.connection_lost(exc)


def open_serial(options: Serial, make: Callable[[], Link]) -> Link:
    """Raises OSError; a device that another program uses is one too."""
    try:
        device = serial.Serial(
            options.device,
            baudrate=options.baud,
            bytesize=options.bits,
            parity=options.parity,
            stopbits=options.stop,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except serial.SerialException as exc:
        if exc.errno == errno.EWOULDBLOCK:
            raise OSError("another program has it, perhaps the gateway itself") from exc
        raise
    except termios.error as exc:  # a pseudo terminal that knows no parity
        raise OSError(*exc.args) from exc
    except ValueError as exc:
        raise OSError(str(exc)) from exc
    link = make()
    SerialPort(device, link)
    return link
