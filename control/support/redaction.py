"""Takes people and mail out of settings and events, and leaves what tells of the machine.

An address keeps its domain, which routing is about, and in place of its local part has a mark, the same one for the
same local part within one bundle. Any other text that is not known to be harmless becomes a mark as a whole. The marks
are keyed with a secret that is thrown away with the bundle, so that nobody finds out names by trying them.

What is harmless is listed here field by field; what an event of tomorrow brings is marked until somebody lists it.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from engine.scan.facts import Cause

LEFT_OUT: Final = "(left out)"
_MARK_LEN: Final = 8

_ADDRESS: Final = re.compile(
    r"""(?P<local> "(?:[^"\\]|\\.)*" | [^\s<>"@,;()\[\]]+ ) @ (?P<domain> [^\s<>"@,;()\[\]]+ | \[[^\]\s]*\] )""",
    re.VERBOSE,
)
_REPLY: Final = re.compile(r"(\d{3})(?: ([245]\.\d{1,3}\.\d{1,3}))?(?= |$)")
_OWN_WORDS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3} ")
_SECRET: Final = re.compile(r"secret|password|passphrase|token|private|credential|(?:^|_)key(?:$|_)")

_PLAIN: Final = frozenset(  # names, numbers and words of the gateway itself
    (
        *("event", "time", "process", "smtp_id", "forward_id", "connection_id", "client", "proxy", "server", "side"),
        *("kind", "tls", "verdict", "definitions", "signatures", "virus", "handling", "version", "revision", "name"),
        *("place", "limit", "list", "domain", "policy", "directory", "changed", "missing", "breaks", "last_command"),
        *("audience",),
    )
)
_ADDRESSES: Final = frozenset(("reverse_path", "forward_path", "forward_paths", "sender", "to"))
_PATHS: Final = frozenset(("file-access-error", "low-disk"))  # events whose path is one of our own
_REPLIES: Final = frozenset(("reply", "last_response", "result"))
_REASONED: Final = frozenset(  # events whose reason no mail can have words in, but perhaps a next hop
    (
        *("service-start-failed", "process-restarted", "configuration-refused", "definitions-refused", "queue-moved"),
        *("scanner-crashed", "connection-failed", "block-list-unusable", "file-access-error", "alert-suppressed"),
        *("delivery-deferred", "delivery-failed", "delivery-suppressed", "rejected", "spam-list-block", "logoff"),
    )
)
_CRASHED: Final = "suspect: its processing crashed"


class Redactor:
    """Of one bundle. key: at least 16 random octets."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mark(self, text: str) -> str:
        """What stands for a text; empty for an empty one."""
        if not text:
            return ""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=_MARK_LEN // 2)
        return f"~{digest.hexdigest()}"

    def words(self, text: str) -> str:
        """Words of the gateway: every address in it is marked."""
        return _ADDRESS.sub(lambda found: f"{self.mark(found['local'].lower())}@{found['domain']}", text)

    def address(self, address: str) -> str:
        return self.words(address) if _ADDRESS.fullmatch(address) else self.mark(address)

    # --- settings ---------------------------------------------------------------------------------

    def setting(self, name: str, value: Any) -> Any:
        """A plain setting by its full name: secrets and texts for people are left out, addresses marked."""
        key = name.rpartition(".")[2]
        if isinstance(value, str) and value and (_SECRET.search(key) or key == "text"):
            return LEFT_OUT
        if isinstance(value, str):
            return self.words(value)
        if isinstance(value, tuple | list):
            return [self.setting(name, one) for one in value]
        return value

    # --- events -----------------------------------------------------------------------------------

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """A line of the journal, as decoded."""
        return {name: self._field(event, name, value) for name, value in event.items()}

    def _field(self, event: dict[str, Any], name: str, value: Any) -> Any:
        if isinstance(value, bool | int | float) or value is None:
            return value
        if isinstance(value, list):
            return [self._field(event, name, one) for one in value]
        if not isinstance(value, str):
            return LEFT_OUT
        return self._rule(event, name)(value)

    def _rule(self, event: dict[str, Any], name: str) -> Callable[[str], str]:
        if name in _PLAIN:
            return self.words
        if name in _ADDRESSES:
            return self.address
        if name == "path" and event.get("event") in _PATHS:
            return self.words
        if name in _REPLIES:
            return self._reply
        if name == "reason":
            return self._reply if event.get("event") in _REASONED else self._reason
        if name in ("description", "unscanned"):
            return self._causes
        return self._violation if name == "violation" else self.mark

    def _reply(self, text: str) -> str:
        """Of what a next hop says the codes; our own words as they are, and words that are no reply."""
        if reply := _REPLY.match(text):
            return f"{reply[0]} {self.mark(text[reply.end() :].strip())}".strip()
        return self.words(text)

    def _reason(self, text: str) -> str:
        return text if text.startswith(_CRASHED) else self.mark(text)

    def _causes(self, text: str) -> str:
        """Why a part could not be examined, without the names of files; of an internal error its kind."""
        if internal := re.match(r"internal error: (\w+)", text):
            return internal[0]
        found = [cause for cause in Cause if re.search(rf": {re.escape(cause)}\b", text)]
        return f"{', '.join(found)} {self.mark(text)}".strip()

    def _violation(self, text: str) -> str:
        """Without the line that the client sent."""
        return text.partition(": ")[0] if _REPLY.match(text) else self.words(text)
