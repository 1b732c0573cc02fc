"""What the commands of definitions say in common."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar

import click

from control.updates.fetch import Problem, UpdateFailed
from control.updates.keys import BadKey
from control.updates.mirror import NotAMirror
from control.updates.repository import Refused
from control.updates.revision import Revision
from control.updates.sources import BadSource
from control.updates.trust import NotARoot, Trusted
from control.updates.upload import NotUploaded
from engine import durable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_TOLD = (UpdateFailed, Refused, BadKey, NotAMirror, NotUploaded, BadSource)


def plainly(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """What can go wrong is said in one line, and the command fails."""

    @wraps(work)
    def wrapper(*args: _P.args, **named: _P.kwargs) -> _T:
        try:
            return work(*args, **named)
        except _TOLD as error:
            raise click.ClickException(str(error)) from None
        except NotARoot as error:
            raise click.ClickException(f"the file {error}") from None
        except durable.Locked:
            raise click.ClickException("another command works there just now: wait until it ends") from None
        except OSError as error:
            raise click.ClickException(f"{error.filename or 'the disk'}: {error.strerror}") from None

    return wrapper


def date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def tell_revision(revision: Revision) -> None:
    click.echo(f"revision {revision.number} of {date(revision.date)}: {revision.signatures} signatures")
    for kind, part in sorted(revision.parts.items(), reverse=True):
        click.echo(f"  {kind:<6}{part.signatures:>9} signatures, changed last {date(part.date)}")
    if revision.note:
        click.echo(f"  {click.unstyle(revision.note)}")


def tell_trusted(trusted: Trusted) -> None:
    click.echo(f"root {trusted.version}, expires {date(trusted.expires)}")
    click.echo(f"SHA-256 {trusted.fingerprint}")
    for role, (threshold, keys) in sorted(trusted.quorums.items()):
        click.echo(f"  {role:<10}{threshold} of {keys} keys must sign")


def tell_problems(problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        click.echo(f"{problem.source}: {problem.reason}", err=True)
