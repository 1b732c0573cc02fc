"""What can go wrong with the queue. Nothing else is raised on purpose."""


class QueueError(Exception):
    """The queue cannot do this now. Transient for the client: 451 or 452, never 250."""


class QueueFull(QueueError):
    """No room, or the disk does not take it (ENOSPC, EIO ...): 452 at the edge, and nothing is half accepted."""


class QueueLocked(QueueError):
    """Another process owns these queue files."""


class NoSuchMessage(QueueError):
    """There is no such message, or not in that place."""
