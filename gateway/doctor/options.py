"""What the options of any plugin name of the world around: addresses, serial lines, files of TLS. By convention."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel

from gateway.config import Settings

_PORTS = {"http": 80, "https": 443, "opc.tcp": 4840, "mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "nats": 4222}
_PORTS_OF = {"modbus": {"tls": 802}, "nats": {"tls": 4222}}
_MODBUS = 502
_CERTIFICATES = ("ca", "certificate", "client_certificate", "client_cert")
_KEYS = ("key", "client_key")


class Endpoint(NamedTuple):
    """`name` is the machine's or the destination's."""

    name: str
    host: str
    port: int


class TlsFile(NamedTuple):
    name: str
    path: Path
    is_key: bool


def endpoints(settings: Settings) -> list[Endpoint]:
    """Every one once, with the first that names it."""
    found: dict[tuple[str, int], Endpoint] = {}
    for name, plugin, options in _all(settings):
        url = urlsplit(_address(plugin, options))
        port = _port(url, plugin)
        if url.hostname and port:
            found.setdefault((url.hostname, port), Endpoint(name, url.hostname, port))
    return list(found.values())


def serial_lines(settings: Settings) -> dict[str, Path]:
    """By machine: ``rtu:///dev/ttyUSB0?baud=9600``."""
    urls = {name: urlsplit(_address(plugin, options)) for name, plugin, options in _all(settings)}
    return {name: Path(url.path) for name, url in urls.items() if not url.hostname and url.path.startswith("/dev/")}


def tls_files(settings: Settings) -> list[TlsFile]:
    """As the options name them; secrets are no files."""
    found: dict[Path, TlsFile] = {}
    for name, _, options in _all(settings):
        for key, value in _fields(options):
            if key in (*_CERTIFICATES, *_KEYS) and isinstance(value, str | Path) and str(value):
                found.setdefault(Path(value), TlsFile(name, Path(value), key in _KEYS))
    if settings.web is not None and settings.web.tls is not None:
        certificate = settings.web.tls.certificate
        found.setdefault(certificate, TlsFile("page", certificate, is_key=False))
    return list(found.values())


def _all(settings: Settings) -> Iterator[tuple[str, str, Any]]:
    yield from ((source.machine, source.plugin.name, source.options) for source in settings.sources)
    yield from ((destination.name, destination.plugin.name, destination.options) for destination in settings.destinations)


def _address(plugin: str, options: Any) -> str:
    """The option that is called like the plugin."""
    given = getattr(options, plugin, "")
    return given if isinstance(given, str) else ""


def _port(url: Any, plugin: str) -> int:
    try:
        given = url.port
    except ValueError:
        return 0
    return given or _PORTS_OF.get(plugin, {}).get(url.scheme) or _PORTS.get(url.scheme) or (_MODBUS if plugin == "modbus" else 0)


def _fields(model: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(model, BaseModel):
        for name in type(model).model_fields:
            value = getattr(model, name)
            yield name, value
            yield from _fields(value)
