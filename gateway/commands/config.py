"""`lineside config key`, `sign` and `verify`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from gateway.commands.database import Refused
from gateway.commands.printing import counted
from gateway.config import ConfigErrors, load, render
from gateway.config.signature import FOLDER, key_id, sign, signature_file, wanted
from gateway.durable import write


def make_key(name: Path) -> int:
    """Exit code 1: a file is there already, or cannot be written."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for path, content, mode in ((_beside(name, "key"), private, 0o600), (_beside(name, "pem"), public, 0o644)):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as exc:
            raise Refused(f"{path} cannot be made: {exc.strerror}") from exc
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    click.echo(f"{_beside(name, 'key')} signs: keep it where configurations are made, never on a gateway")
    click.echo(f"{_beside(name, 'pem')} goes into {FOLDER}/ beside the gateway's configuration; key {key_id(key.public_key())[:16]}")
    return 0


def _beside(name: Path, ending: str) -> Path:
    return name.with_name(f"{name.name}.{ending}")


def sign_file(path: Path, key_file: Path) -> int:
    """Exit code 2: FILE has errors; 1: the key cannot be used."""
    key = _private_key(key_file)
    try:
        settings = load(path, secrets=False, signed=False)
    except ConfigErrors as exc:
        click.echo(render(exc.problems), err=True)
        click.echo(f"{counted(len(exc.problems), 'problem')}; nothing was signed", err=True)
        return 2
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        write(signature_file(path), sign(settings.files, key, at), mode=0o644)
    except OSError as exc:
        raise Refused(f"{signature_file(path)} cannot be written: {exc.strerror}") from exc
    click.echo(f"{signature_file(path)}: {counted(len(settings.files), 'file')}, key {key_id(key.public_key())[:16]}")
    return 0


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as exc:
        raise Refused(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError) as exc:
        raise Refused(f"{path} is no private key in PEM") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"{path} is no Ed25519 key; lineside config key makes one")
    return key


def verify_file(path: Path) -> int:
    """Exit code 2: a gateway here would refuse it."""
    try:
        signed = wanted(path)
        if signed is not None:
            load(path, secrets=False)
    except ConfigErrors as exc:
        click.echo(render(exc.problems), err=True)
        return 2
    if signed is None:
        click.echo(f"there are no keys in {path.parent / FOLDER}: this gateway takes what is not signed")
        return 0
    click.echo(f"{path}: signed at {signed.at} with key {signed.key[:16]}")
    for name in sorted(signed.files):
        click.echo(f"  {signed.files[name][:16]}  {name}")
    return 0
