"""Gives up root after the ports are bound (SYS-01)."""

import os
import pwd
import stat
import sys
from pathlib import Path

from engine.layout import Layout


class CannotDrop(Exception):
    """Why the service stays what it is: a reason for the operator, with the remedy."""


def account(name: str) -> pwd.struct_passwd:
    """The account to run as. Raises CannotDrop if the machine does not know it."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise CannotDrop(
            f"there is no user {name!r} on this machine: create it or set processes.user in the configuration"
        ) from None


def _may(path: Path, user: pwd.struct_passwd, bit: int) -> bool:
    """By the classic mode bits. bit: as for others, S_IROTH or S_IXOTH."""
    status = path.stat()
    if status.st_uid == user.pw_uid:
        return bool(status.st_mode >> 6 & bit)
    if status.st_gid == user.pw_gid:
        return bool(status.st_mode >> 3 & bit)
    return bool(status.st_mode & bit)


def _blocked(path: Path, user: pwd.struct_passwd) -> Path | None:
    """The first directory on the way to path that the user may not pass through."""
    return next((step for step in reversed(path.parents) if not _may(step, user, stat.S_IXOTH)), None)


def give_to(user: pwd.struct_passwd, layout: Layout) -> None:
    """Make the installation the user's, without following links; what else lies in its directory is left alone."""
    for path in (layout.root, layout.config):
        os.chown(path, user.pw_uid, user.pw_gid)
    for directory in layout.directories:
        os.chown(directory, user.pw_uid, user.pw_gid, follow_symlinks=False)
        for folder, folders, files in os.walk(directory):
            for name in folders + files:
                os.chown(Path(folder) / name, user.pw_uid, user.pw_gid, follow_symlinks=False)


def become_owner(root: Path) -> None:
    """A command that root gives becomes the one of the installation's owner. Raises OSError."""
    if os.geteuid() == 0:
        owner = root.stat()
        if owner.st_uid:
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)


def drop(name: str, layout: Layout) -> None:
    """Become the user for good. Raises CannotDrop, and then nothing has changed.

    Children are started from the same interpreter, so the user must be able to read it and this program.
    """
    if os.geteuid() != 0:
        return
    user = account(name)
    programs = [Path(sys.executable).resolve(), Path(os.__file__).resolve(), Path(__file__).resolve()]
    for path in [*programs, layout.root]:
        blocked = _blocked(path, user) or (path if path in programs and not _may(path, user, stat.S_IROTH) else None)
        if blocked is not None:
            raise CannotDrop(f"user {name!r} may not pass {blocked}: install Mailward and its data where all may go")
    give_to(user, layout)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = str(layout.root)
