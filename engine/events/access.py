"""Who uses the pages, and what they were refused (RSYS, ALR-12, ALR-13, ALR-15)."""

from engine.events.base import Event


class Logon(Event, tag="logon"):
    """failures: how many there were one after the other, of this account or this client, with this one (ALR-13)."""

    result: str  # Succeeded or Failed
    user: str
    client: str
    failures: int = 0


class Logoff(Event, tag="logoff"):
    result: str
    user: str
    client: str
    reason: str = ""  # request or timeout


class ObjectModified(Event, tag="object-modified"):
    object: str
    user: str
    client: str
    modification: str


class HttpViolation(Event, tag="http-violation"):
    """ALR-12."""

    client: str
    violation: str


class UnauthorizedAccess(Event, tag="unauthorized-access"):
    """ALR-15: a page or call was refused for want of rights."""

    client: str
    path: str
    user: str = ""


AccessEvents = Logon | Logoff | ObjectModified | HttpViolation | UnauthorizedAccess
