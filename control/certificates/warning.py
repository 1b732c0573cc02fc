"""What about the certificate needs attention, in words with the next step: for its page and for Status (CERT-08)."""

from control.certificates.keeper import Installed
from engine.config import Acme


def warning(found: Installed | None, acme: Acme, problem: str, now: float) -> str:
    """Empty if all is well. problem: why the last attempt by ACME failed, or none is made. now: seconds since 1970."""
    words = []
    if found is None:
        words.append("The TLS certificate cannot be read. Install one.")
    else:
        left_days = (found.expires.timestamp() - now) / 86_400
        if left_days < 0:
            words.append(f"The TLS certificate expired on {found.expires:%Y-%m-%d}: browsers warn of these pages.")
        elif left_days < found.warn_days:
            words.append(f"The TLS certificate expires on {found.expires:%Y-%m-%d}, {_in(int(left_days))}.")
        if words and not acme.enabled:
            words.append("Make a request, send it to the authority, and install the answer.")
    if acme.enabled and problem:
        words.append(f"No certificate came by ACME: {problem}")
    return " ".join(words)


def _in(days: int) -> str:
    return "within a day" if days == 0 else f"in {days} day{'s' if days > 1 else ''}"
