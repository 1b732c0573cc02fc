"""`mailward definitions update`, `status` and `rollback`: of a gateway (DEF-07, DEF-13, DEF-16)."""

import os
import time
from pathlib import Path
from typing import Final

import click

from control.cli.options import root_option
from control.definitions import DefinitionsFile, Library, Unfit
from control.queues.relays import runs
from control.settings import CurrentSettings
from control.times import local_time
from control.updates import memory as memories
from control.updates.keeper import REQUEST, ask
from control.updates.memory import FAILED, Attempt
from control.updates.session import Running, Session, Stage, is_running
from engine import events
from engine.config import ConfigError
from engine.journal import JournalWriter
from engine.layout import Layout

BY: Final = "command line"
PATIENCE_S: Final = 7200.0
TAKEN_S: Final = 30.0  # until the gateway has begun
UNSEEN_S: Final = 60.0  # between two signs that it works on it
LOOK_S: Final = 2.0
POLL_S: Final = 0.1
JOURNAL: Final = "definitions"


@click.command()
@root_option
def update(root: Path) -> None:
    """Look for new definitions now, whether the schedule is on or off.

    A gateway that runs does it itself; else it is done here, without trying them on live mail.
    """
    layout = _layout(root)
    try:
        attempt = _by_the_gateway(layout) if runs(root) else _here(layout)
    except Running as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or root}: {error.strerror}") from None
    click.echo(_told(attempt))
    if attempt.result == FAILED:
        raise click.exceptions.Exit(1)


def _by_the_gateway(layout: Layout) -> Attempt:
    path, request = layout.control / memories.FILE_NAME, layout.run / REQUEST
    before = _last(path)
    ask(layout, BY)
    now = time.monotonic()
    taken_by, look_at, seen_by, deadline = now + TAKEN_S, now, now + UNSEEN_S, now + PATIENCE_S
    while (attempt := _last(path)) is None or attempt == before:
        now = time.monotonic()
        if request.exists():
            if now > taken_by:
                request.unlink(missing_ok=True)
                raise click.ClickException(
                    "the pages of the gateway, which make updates, do not answer, so nothing was begun: see in the log"
                    " of the service what is wrong with them, and restart it"
                )
            seen_by = now + UNSEEN_S
        elif now > look_at:  # seldom, since to look is to hold the lock for a moment
            look_at = now + LOOK_S
            if is_running(layout):
                seen_by = now + UNSEEN_S
        if now > seen_by:
            raise click.ClickException(
                "the update does not run any more, and has no result: was the service stopped? It is made again after"
                " its next start; `mailward definitions status` tells what came of it"
            )
        if now > deadline:
            raise click.ClickException("the gateway takes too long: see the page Definitions for how far it is")
        time.sleep(POLL_S)
    return attempt


def _last(path: Path) -> Attempt | None:
    history = memories.read(path).history
    return history[0] if history else None


def _here(layout: Layout) -> Attempt:
    path, settings = layout.control / memories.FILE_NAME, CurrentSettings(layout.config)
    journal = JournalWriter(layout.journal, JOURNAL)

    def event(told: events.Event) -> None:
        journal.write(told)
        journal.flush()

    def begun(stage: Stage) -> None:
        click.echo(stage.text, err=True)

    session = Session(layout, settings(), Library(layout, settings), event, time.time, memories.read(path), None, begun)
    try:
        attempt = session.run(BY)
        memories.write(path, session.memory)
    finally:
        journal.close()
        _hand_over(layout)
    return attempt


def _hand_over(layout: Layout) -> None:
    """What root makes here belongs to whom the installation belongs, or the service could not read it."""
    if os.geteuid() == 0:
        owner = layout.root.stat()
        written = [
            *layout.definitions.rglob("*"),
            layout.control / memories.FILE_NAME,
            *layout.journal.glob(f"{JOURNAL}-*"),
        ]
        for path in written:
            if path.exists():
                os.chown(path, owner.st_uid, owner.st_gid)


def _told(attempt: Attempt) -> str:
    number = f", revision {attempt.number}" if attempt.number else ""
    source = f" from {attempt.source}" if attempt.source else ""
    reason = f": {attempt.reason}" if attempt.reason else ""
    return f"{attempt.result}{number}{source}{reason}"


@click.command()
@root_option
def status(root: Path) -> None:
    """Tell what is in force, and what came of the last updates."""
    layout = _layout(root)
    try:
        memory = memories.read(layout.control / memories.FILE_NAME)
    except OSError as error:
        raise click.ClickException(f"{error.filename or root}: {error.strerror}") from None
    library = Library(layout, CurrentSettings(layout.config))
    for label, file in (("in force", library.in_force()), ("before", library.previous())):
        click.echo(f"{label:<12}{_described(file, memory)}")
    click.echo(f"{'running':<12}{'yes' if is_running(layout) else 'no'}")
    for attempt in memory.history[:10]:
        click.echo(f"{local_time(attempt.time)}  {attempt.user}: {_told(attempt)}")


def _described(file: DefinitionsFile | None, memory: memories.Memory) -> str:
    if file is None:
        return "none"
    if file.problem:
        return f"{file.name} cannot be used: {file.problem}"
    known = memory.of(file.revision)
    number = f", number {known.number} of {local_time(known.date)}" if known else ""
    return f"revision {file.revision}{number}, {file.signatures:,} signatures"


@click.command()
@root_option
def rollback(root: Path) -> None:
    """Go back to the definitions before these; once more undoes it. A gateway that runs takes them at once."""
    layout = _layout(root)
    library = Library(layout, CurrentSettings(layout.config))
    if is_running(layout):
        raise click.ClickException("an update is running: wait until it ends")
    try:
        found = library.roll_back(BY, round(time.time() * 1_000_000))
        _hand_over(layout)
    except FileNotFoundError:
        raise click.ClickException("there are no definitions to go back to: none were replaced yet") from None
    except Unfit as error:
        raise click.ClickException(f"the definitions before these cannot be used: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or root}: {error.strerror}") from None
    click.echo(f"revision {found.revision} with {found.signatures:,} signatures is in force again")


def _layout(root: Path) -> Layout:
    layout = Layout(root)
    try:
        CurrentSettings(layout.config)()
    except (ConfigError, OSError) as error:
        raise click.ClickException(str(error)) from None
    return layout


COMMANDS: Final = (update, status, rollback)
