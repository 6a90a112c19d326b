"""All checks in turn. What cannot be looked at is a finding, too; it keeps no other check from its work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gateway.config import ConfigErrors, Settings, load
from gateway.config.glance import Glance, glance
from gateway.config.problems import Problem
from gateway.config.settings import BufferSettings
from gateway.doctor import certificates, clock, configuration, disk, holdings, machine, network, permissions, service, versions
from gateway.doctor.finding import Finding, warning
from gateway.doctor.options import endpoints, serial_lines, tls_files
from gateway.outbox.lock import holder

ACCOUNTS = "accounts.json"


@dataclass
class Patient:
    """One gateway on this machine. Raises ConfigError when its configuration cannot even be glanced at.

    warn      what of valid settings is allowed but probably not meant
    root      of /proc and /sys, for tests
    """

    config: Path
    warn: Callable[[Settings], Iterable[str]]
    root: Path = Path("/")
    network: bool = True
    known: Glance = field(init=False)
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        self.known = glance(self.config)

    @cached_property
    def settings(self) -> Settings | None:
        """None: it has errors."""
        try:
            return load(self.config)
        except ConfigErrors as exc:
            self.problems = exc.problems
        try:
            return load(self.config, secrets=False)
        except ConfigErrors:
            return None


def _clock(_: Patient) -> Iterator[Finding]:
    yield from clock.judge(clock.read(time.time()))


def _disk(patient: Patient) -> Iterator[Finding]:
    buffer = patient.settings.buffer if patient.settings else BufferSettings()
    found = disk.read(patient.known.state_dir, patient.root)
    yield from disk.judge(found, min_free_bytes=buffer.min_free_megabytes << 20, max_outbox_bytes=buffer.max_megabytes << 20)


def _certificates(patient: Patient) -> Iterator[Finding]:
    named = tls_files(patient.settings) if patient.settings else []
    ours, keys = certificates.of_pki(patient.known.state_dir / "pki")
    certs = [each.path for each in named if not each.is_key] + ours
    private = [each.path for each in named if each.is_key] + keys
    yield from certificates.judge(certificates.read(certs, private), time.time())


def _permissions(patient: Patient) -> Iterator[Finding]:
    state, owner = patient.known.state_dir, permissions.account()
    private = [*permissions.secrets(patient.config.absolute().parent), permissions.look(state / ACCOUNTS)]
    folder = permissions.look(state)
    yield from permissions.judge(folder, permissions.look(patient.config), private, owner)
    runs = owner or holdings.whose(folder)
    if folder.mode >= 0 and runs is not None and folder.uid == runs.uid:  # else its own remedy is for all that is in it
        yield from holdings.judge(state, holdings.unusable(state, runs), runs)
    lines = serial_lines(patient.settings) if patient.settings else {}
    yield from permissions.judge_serial({name: permissions.look(path) for name, path in lines.items()}, owner)


def _network(patient: Patient) -> Iterator[Finding]:
    reached = network.reach(endpoints(patient.settings)) if patient.settings and patient.network else []
    yield from network.judge(reached, default_route=network.has_default_route(patient.root))


def _configuration(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    yield from configuration.judge(patient.problems, patient.warn(settings) if settings else [])


def _versions(_: Patient) -> Iterator[Finding]:
    yield from versions.judge(versions.read())


def _service(patient: Patient) -> Iterator[Finding]:
    yield from service.judge(service.read(holder(patient.known.state_dir), patient.root, service.unit_of(patient.config)))


def _machine(patient: Patient) -> Iterator[Finding]:
    yield from machine.judge(machine.read(patient.root))


CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "clock": _clock,
    "disk": _disk,
    "certificates": _certificates,
    "permissions": _permissions,
    "network": _network,
    "configuration": _configuration,
    "versions": _versions,
    "service": _service,
    "machine": _machine,
}


def examine(patient: Patient) -> Iterator[tuple[str, list[Finding]]]:
    """Each check with what it found, in order."""
    for name, check in CHECKS.items():
        found: list[Finding] = []
        try:
            found.extend(check(patient))  # what was found before one could not look on stays
        except OSError as exc:
            what = f"{exc.filename or name} cannot be looked at: {exc.strerror or exc}"
            found.append(warning(what, "run the command as root, or as the gateway's user: sudo lineside doctor"))
        yield name, found
