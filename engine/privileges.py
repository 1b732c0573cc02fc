"""Gives up root after the ports are bound (SYS-01)."""

import os
import pwd
import stat
import sys
from pathlib import Path


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


def _reachable(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether the user may pass through every directory above path and read it, by the classic mode bits."""
    for step in [*reversed(path.parents), path]:
        status = step.stat()
        if status.st_uid == user.pw_uid:
            bits = status.st_mode >> 6
        elif status.st_gid == user.pw_gid:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        if not bits & (stat.S_IXOTH if step != path else stat.S_IROTH):
            return False
    return True


def give_to(user: pwd.struct_passwd, root: Path) -> None:
    """Make the whole tree below root the user's, without following links."""
    os.chown(root, user.pw_uid, user.pw_gid)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            os.chown(Path(folder) / name, user.pw_uid, user.pw_gid, follow_symlinks=False)


def drop(name: str, root: Path) -> None:
    """Become the user for good. Raises CannotDrop, and then nothing has changed.

    Children are started from the same interpreter, so the user must be able to read it and this program.
    """
    if os.geteuid() != 0:
        return
    user = account(name)
    for path in (Path(sys.executable).resolve(), Path(os.__file__).resolve(), Path(__file__).resolve(), root):
        if not _reachable(path, user):
            raise CannotDrop(f"user {name!r} cannot read {path}: install Mailward and its Python where all may read")
    give_to(user, root)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = str(root)
