"""`lineside restore`."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import click

from gateway.commands.failing import answered
from gateway.commands.passphrase import read_passphrase
from gateway.commands.printing import counted, printable, when
from gateway.commands.who import typed
from gateway.config.glance import glance
from gateway.contract import ConfigError
from gateway.durable import write
from gateway.life import restore as life
from gateway.life.archive import Manifest
from gateway.life.contents import CONFIG, STATE
from gateway.life.resume import finish_in
from gateway.life.share import Share, share
from gateway.life.swap import decided
from gateway.outbox.database import FILE_NAME
from gateway.outbox.lock import state_lock

_NOT_DONE = 1


def restore(file: Path, state_dir: Path | None, config_dir: Path, *, as_new_device: bool, passphrase_file: Path | None, yes: bool) -> int:
    """Exit code: 0 restored, 1 not, 2 cannot."""
    return answered(lambda: _restore(file, state_dir, config_dir, as_new_device, passphrase_file, yes))


def finish(state_dir: Path) -> int:
    """Exit code: 0 finished, or nothing was to be done in this gateway's folder, 2 cannot, or it is no gateway's."""

    def done() -> int:
        if not state_dir.is_dir() or decided(state_dir) is None:
            if not (state_dir / FILE_NAME).exists():
                raise ConfigError(f"nothing to finish: {state_dir} is no state folder of a gateway that ever ran; is its name right?")
            click.echo(f"nothing to finish in {state_dir}: no restore was interrupted after it was decided")
        else:
            finish_in(state_dir)
            click.echo("finished; the gateway may start")
        return 0

    return answered(done)


def _restore(file: Path, state_dir: Path | None, config_dir: Path, as_new_device: bool, passphrase_file: Path | None, yes: bool) -> int:
    manifest = life.look(file)
    named = _named_state_dir(file, manifest)
    state_dir = (state_dir or named).absolute()
    if state_dir.is_dir() and decided(state_dir) is not None:
        raise ConfigError(f"a restore into {state_dir} was interrupted; run: lineside restore --finish --state-dir {state_dir}")
    life.make_folders(state_dir, config_dir)
    with state_lock(state_dir):
        shared = share(manifest, partial(life.content_of, file), state_dir, config_dir.absolute())
        _show(manifest, state_dir, config_dir, as_new_device, shared)
        if not (yes or (sys.stdin.isatty() and click.confirm("restore?"))):
            click.echo("nothing was changed (--yes restores without asking)", err=True)
            return _NOT_DONE
        wanted = manifest.sealed and (passphrase_file is not None or sys.stdin.isatty())
        done = life.restore(
            file,
            state_dir,
            config_dir.absolute(),
            passphrase=read_passphrase(passphrase_file, new=False) if wanted else None,
            as_new_device=as_new_device,
            now_ns=time.time_ns(),
            who=typed(),
            but=shared.left,
        )
    _tell(done, manifest, [folder / done.aside for folder in (state_dir, config_dir) if (folder / done.aside).exists()], config_dir)
    if not named.exists() or not named.samefile(state_dir):
        click.echo(f"the configuration names the state folder {named}: change gateway.state_dir to {state_dir} before the start", err=True)
    return 0


def _named_state_dir(file: Path, manifest: Manifest) -> Path:
    """The one the restored configuration will use."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="lineside-") as folder:
        copy = Path(folder) / "lineside.yaml"
        write(copy, life.content_of(file, f"{CONFIG}/{manifest.config}"))
        return glance(copy).state_dir


def _show(manifest: Manifest, state_dir: Path, config_dir: Path, as_new_device: bool, shared: Share) -> None:
    counts = {top: sum(name.startswith(f"{top}/") and name not in shared.left for name in manifest.files) for top in (STATE, CONFIG)}
    click.echo(f"backup of     {printable(manifest.gateway)}, taken {when(manifest.taken_ns)} by lineside {printable(manifest.version)}")
    click.echo(f"state         {counted(counts['state'], 'files')} into {state_dir}; what is there is put aside")
    click.echo(f"configuration {counted(counts['config'], 'files')} into {config_dir}; files of the same name are put aside, others stay")
    if manifest.sealed:
        click.echo(f"secrets       {len(set(manifest.sealed) - shared.left):,} sealed with a passphrase")
    if shared.others:
        click.echo(f"others        {printable(shared.others)} in {config_dir}: what is not this gateway's alone stays as it is")
    for names, why in ((shared.theirs, "another gateway's, not put in place"), (shared.stays, "not this gateway's alone, left as it is")):
        for name in names:
            click.echo(f"              {printable(name.removeprefix(f'{CONFIG}/'))}: {why}")
    click.echo("events        a new epoch: sequences and ids leap, because nobody knows what was sent after the backup")
    if as_new_device:
        click.echo("device        its own identity: lineside enrol, and servers have to trust its certificate")


def _tell(done: life.Restored, manifest: Manifest, aside: list[Path], config_dir: Path) -> None:
    click.echo(f"restored: {counted(len(done.files) + len(done.secrets), 'files')}; sequences go on behind {done.epoch.first}")
    if aside:
        click.echo(f"what was there is in {' and '.join(map(str, aside))}; delete it when the gateway runs well")
    if done.missing:
        click.echo(f"not restored, because they are secrets: {', '.join(map(printable, done.missing))}", err=True)
    click.echo(f"next: lineside check {config_dir / manifest.config}, then start the gateway")
