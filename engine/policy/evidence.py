"""What policy knows of one message: a flat record, small enough to be written to the journal with each message.

Criteria are pure functions from Evidence and settings to violations. Since the journal keeps the evidence, the same
functions tell what other settings would have done to mail of the past (`control/rehearsal/`).

The scanner fills in what it read in the message (`header`, `files`, `limit`); the relay what it knows of the session
and was told by DNS (`envelope`, `listings`, `authentication`).
"""

import msgspec

FILES_KEPT = 200  # in the evidence of one message; files_left_out counts the others


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of the mail transaction. client: address of the connecting host; names: confirmed (RELAY-08), if asked for;
    submitter: who logged on to hand it in (RELAY-14).
    """

    client: str = ""
    helo: str = ""
    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()
    size: int = 0  # octets as received
    names: tuple[str, ...] = ()
    submitter: str = ""


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of the message's own header section, decoded (RFC 2047).

    other_subjects: of further Subject fields: a client may show any of them. senders: the addresses of the From
    field, lower case (SNDR-02). automatic: the message came from a program or a list (RFC 3834 s2: Auto-Submitted,
    List-*, Precedence), so nothing is ever answered to it.
    """

    subject: str = ""
    senders: tuple[str, ...] = ()
    automatic: bool = False
    other_subjects: tuple[str, ...] = ()


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attachment or member of a container.

    part: its path in the ledger; top: path of the top-level attachment that it is or lies in. names: every name it
    declares, best first, cleaned as FILE-06, also without folders. type: by content, as engine.scan.magic names it.
    encrypted: it is an encrypted container: it, or a member of its own, cannot be read without a password or key.
    sha256: of its content, of top-level attachments; empty if it was not asked for (updates.digest_days).
    """

    part: str
    top: str = ""
    names: tuple[str, ...] = ()
    type: str = ""
    size: int = 0
    encrypted: bool = False
    sha256: str = ""

    @property
    def name(self) -> str:
        return self.names[0] if self.names else ""

    @property
    def is_top(self) -> bool:
        return self.part == self.top


class Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one DNS block list said about the client. codes: addresses that it answered, empty: not listed.

    problem: why the list could not be used (error code, time-out, failed self-test); it counts as not listed then.
    """

    list: str
    codes: tuple[str, ...] = ()
    problem: str = ""


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """One DKIM signature. result: pass, fail, neutral, policy, temperror or permerror (RFC 8601 s2.7.1)."""

    domain: str
    selector: str = ""
    result: str = ""
    reason: str = ""


class Authentication(msgspec.Struct, frozen=True, omit_defaults=True):
    """Results in the words of RFC 8601 s2.7; empty: not checked.

    spf_domain: the domain that SPF was checked for. dmarc_domain: of the From field; dmarc_policy: what its owner asks
    for: none, quarantine or reject. arc: result of the chain; arc_sealer: its last sealer, if one that is trusted, and
    arc_dmarc: what DMARC said there.
    """

    spf: str = ""
    spf_domain: str = ""
    dkim: tuple[Signature, ...] = ()
    dmarc: str = ""
    dmarc_domain: str = ""
    dmarc_policy: str = ""
    arc: str = ""
    arc_sealer: str = ""
    arc_dmarc: str = ""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """limit: the container limit that was reached first, in words, and limit_part where (CONT-09)."""

    envelope: Envelope = Envelope()
    header: Header = Header()
    files: tuple[File, ...] = ()
    files_left_out: int = 0
    limit: str = ""
    limit_part: str = ""
    listings: tuple[Listing, ...] = ()
    authentication: Authentication = Authentication()
