"""Every bound that hostile input can reach, each with its reason. Settings may lower some; none is raised by input."""

from typing import Final

MIB: Final = 1 << 20

# --- SMTP session (RFC 5321 s4.5.3) ---------------------------------------------------------------
COMMAND_LINE_LEN: Final = 4096  # 512 by RFC 5321; ESMTP parameters of RFC 3461 and SMTPUTF8 add to it
PATH_LEN: Final = 1024  # 256 by RFC 5321; RFC 6531 s3.4 tells servers to expect more
RECIPIENTS: Final = 1000  # SMTP-18
HOPS: Final = 100  # SMTP-18: Received fields
PROTOCOL_ERRORS: Final = 10  # SMTP-14: then 421
JUNK_COMMANDS: Final = 100  # NOOP, RSET and the like without a message between, as Postfix; then each is an error
FRUITLESS_COMMANDS: Final = 10_000  # of any kind without a message between: ten times the recipients of one
FRUITFUL_CHUNK_LEN: Final = 1024  # of BDAT: these are not counted, so a message of any size may come in chunks
COMMAND_TIMEOUT_S: Final = 300.0  # RFC 5321 s4.5.3.2.7
DATA_BLOCK_TIMEOUT_S: Final = 180.0  # RFC 5321 s4.5.3.2.5
DATA_TOTAL_TIMEOUT_S: Final = 3600.0  # nobody may hold a transaction open by sending an octet a minute
CONNECT_QUEUE: Final = 200  # SMTP-07
CONNECT_QUEUE_TIMEOUT_S: Final = 120.0  # SMTP-07
HURRIED_S: Final = 10.0  # for a command, while others wait for a place; Postfix takes that under stress
HURRIED_RATE: Final = 500  # octets of a message a second, then; as Postfix, and modems were faster
HURRIED_SESSION_S: Final = 120.0  # until there is a message, then; as long as others may have to wait
CONDITION_HEADER_LEN: Final = 256 * 1024  # header section that a relay grant is looked for in; of clouds: some 20 KiB
PROXY_HEADER_LEN: Final = 16 * 1024  # one that carries the client's whole certificate has some 4 KiB
PROXY_HEADER_TIMEOUT_S: Final = 10.0  # it comes with the connection; time for two lost segments
PROXY_HEADERS: Final = 1_000  # connections of proxies that have not sent theirs; as many as are served at once
CLIENT_ROWS: Final = 32_768  # clients that a relay remembers, 1.6 MB; more than can fail to log on meanwhile
UNVERIFIED_S: Final = 86_400.0  # a bad certificate is not asked for again; who gets a better one can wait for its grant
UPDATE_SOURCES: Final = 16  # of definitions; each that does not answer costs its patience
NAMED_CERTIFICATES: Final = 100  # files in tls/names; each costs a context of some 100 KiB in each relay
TICKET_KEY_S: Final = 86_400.0  # who steals it can read TLS 1.2 sessions resumed with it; none is used longer
LISTENERS: Final = 16  # of mail, and of one relay: they are handed over in one message
SUBMITTER_NAME_LEN: Final = 255  # octets; a name that is a mail address has 254 at most
SUBMITTERS_FILE_LEN: Final = 4 * MIB  # some 30,000 accounts
AUTH_FAILURES: Final = 3  # in one session
AUTH_WAITING: Final = 32  # passwords that wait for being compared: some 2 s, one after the other
AUTH_DELAY_S: Final = 30.0  # the longest wait after a failure
AUTH_PATIENCE_S: Final = 60.0  # who would have to wait longer than this is sent away
AUTH_FORGOTTEN_S: Final = 900.0  # after the last failure
HARD_MESSAGE_LEN: Final = 2047 * MIB  # SIZE-02: above every setting; keeps lengths inside 31 bits

# --- Queue ----------------------------------------------------------------------------------------
RECORD_LEN: Final = 5 * MIB  # one record of a queue file (Received: RECIPIENTS command lines); more is damage
BODY_CHUNK_LEN: Final = 256 * 1024  # octets of one Body record
CRASHES_TO_HOLD: Final = 3  # PROC-12
OWN_MAIL_WORDS: Final = 10_000  # names of mail of our own that are remembered, so that none is queued twice

# --- Scan (CONT-03..07) ---------------------------------------------------------------------------
SCAN_DEPTH: Final = 10
SCAN_FILE_LEN: Final = 100 * MIB
SCAN_TOTAL_LEN: Final = 500 * MIB
SCAN_FILES: Final = 10_000
SCAN_TIME_S: Final = 60.0
SCAN_HELD_FILES: Final = 2  # of the largest size that is allowed: what a walk holds at one time, beyond the message
SCAN_HELD_LEN: Final = 24 * MIB  # and so much besides: 224 MiB by default, which leaves some to libraries below 256
# What is left of them when they are switched off: past these a message cannot be processed (SCAN-07).
SCAN_DEPTH_CEILING: Final = 50  # some ten frames of Python each, of a thousand; no container of people is that deep
SCAN_FILE_CEILING_MB: Final = 512  # several of them at once fit into SCANNER_ADDRESS_SPACE
SCAN_TOTAL_CEILING_MB: Final = 2048  # half of that address space
SCAN_FILES_CEILING: Final = 100_000  # a node of the tree and a line of the ledger each: some 100 MB
SCAN_TIME_CEILING_S: Final = 3600  # as long as a client may take to send one (DATA_TOTAL_TIMEOUT_S)
EVIDENCE_TEXT_LEN: Final = 64 * 1024  # characters of names and paths in the evidence of one message
FROM_ADDRESSES: Final = 100  # addresses of all From fields that are read; more than a few are an attack already
DICTIONARY_LEN: Final = 256 * MIB  # that a decoder may ask for: a header of a few octets can name 4 GiB
MIME_PARTS: Final = 10_000  # parts of one message; the union of readings counts too
MIME_DEPTH: Final = 100  # nested multiparts and messages; Postfix stops there too, and recursion stays bounded
HEADER_LEN: Final = 1 * MIB  # octets of one header section that are read as fields
HEADER_FIELDS: Final = 5_000
OCCURRENCES: Final = 8  # different bodies of one field; more than two are an attack already
PARAMETERS: Final = 1_000  # of one field; a name of NAME_LEN characters needs 200 continuations at 76 octets a line
COMMENT_DEPTH: Final = 10  # comments in comments of a Content- field
NAMES: Final = 32  # file names that one part declares, in all their decodings
READINGS: Final = 12  # of one entity
READINGS_TOTAL: Final = 1_000  # further readings of entities of one message; they can be in each other
READINGS_LEN: Final = 256 * MIB  # octets that these span
DELIMITERS: Final = 50_000  # delimiter lines that are kept in one walk: multiparts in each other see the same ones
BOUNDARY_LEN: Final = 998  # 70 by RFC 2046 s5.1.1; clients accept any line
FINDINGS: Final = 200  # findings kept for one message; more are only counted
REPAIRS: Final = 200  # infected files of one message that are repaired; more count as beyond repair
VIRUSES_SHOWN: Final = 5  # names of what was found in one file; more are counted
SUSPICIONS: Final = 50  # verdicts of heuristics whose reasons are kept; further ones are matches like any other
REASONS: Final = 12  # of one verdict, those that weigh most
NAME_LEN: Final = 1024  # a file name longer than this is cut for display
TNEF_ATTRIBUTES: Final = 50_000  # of one winmail.dat; an attachment has some 5, and SCAN_FILES ends the walk before
MAPI_PROPERTIES: Final = 10_000  # of one list of a winmail.dat; an item of Outlook has some 100
PDF_STREAMS: Final = 100_000  # streams of one PDF; SCAN_FILES ends the walk before, unless it was raised
PDF_OBJECTS: Final = 500_000  # objects of one PDF that references can lead to; a 25 MB report has some 300000
PDF_OBJECT_STREAMS_LEN: Final = 64 * MIB  # object streams of one PDF, decoded: they are kept while it is open
# Passwords that are looked for in a message and tried (antivirus.try_passwords).
PASSWORDS: Final = 50  # tried at one file; who writes one writes it where it is found, and soon
PASSWORD_LEN: Final = 64  # octets; nobody types more
PASSWORD_TEXTS: Final = 8  # texts of a message in which they are looked for
PASSWORD_TEXT_LEN: Final = 32 * 1024  # octets of each: most of a long mail is what it answers to
PASSWORD_TRIES: Final = 2_000  # in one message: PASSWORDS at each of 40 files with passwords of their own
PASSWORD_S: Final = 15.0  # for all of them: a quarter of SCAN_TIME_S; PASSWORDS at one office document take 5 to 10
PASSWORD_ROUNDS: Final = 1_000_000  # of hashing that a file may ask for, each time; Office asks for 100,000

# --- Scanner process ------------------------------------------------------------------------------
SCANNER_ADDRESS_SPACE: Final = 4096 * MIB
SCANNER_DESCRIPTORS: Final = 256
SCANNER_DEADLINE_S: Final = 90.0  # wall time for one message, kept by the relay; above SCAN_TIME_S

# --- DKIM and ARC ---------------------------------------------------------------------------------
DKIM_SIGNATURES: Final = 5  # looked at in one message; mail has one to three, OpenDKIM looks at three
ARC_SETS: Final = 50  # RFC 8617 s4.2.1
SIGNED_FIELDS: Final = 500  # names in one h=; long ones, signed twice each against additions, have some 60
SIGNATURE_LEN: Final = 1024  # octets; of RSA with RSA_KEY_BITS_MAX 512
DOMAIN_LEN: Final = 1024  # octets of a domain as written, in UTF-8; 253 as A-labels
RSA_KEY_BITS_MIN: Final = 1024  # RFC 8301 s3.2
RSA_KEY_BITS_MAX: Final = 4096  # RFC 8301 s3.2 asks for that; more costs time, and stays below a TXT record's size
RSA_EXPONENT_BITS: Final = 64  # 17 in all real keys; what the time of one check grows with
KEY_RECORD_LEN: Final = 4096  # octets of a key record; RSA_KEY_BITS_MAX needs some 750
KEYS_KEPT: Final = 1_000  # parsed keys

# --- Delivery -------------------------------------------------------------------------------------
REPLY_LINES: Final = 64  # lines of one reply of a next hop; the longest EHLO replies seen have about 20
REPLY_LEN: Final = 16 * 1024  # octets of one reply
REPLY_TEXT_LEN: Final = 1000  # characters of a reply that are kept in records, events and bounces
TRANSACTION_RECIPIENTS: Final = 100  # RFC 5321 s4.5.3.1.8: every server takes that many
COALESCE_LEN: Final = 1 * MIB  # a message up to this is sent in one write with its envelope
DNS_CACHE_ENTRIES: Final = 50_000  # a client costs some five: block lists, SPF, names
DNS_CACHE_LEN: Final = 32 * MIB  # octets of records in it: senders choose how long their TXT records are
DNS_AT_ONCE: Final = 400  # lookups under way; more wait. Each has a socket, and 1024 is what systems allow
DNS_OF_SENDERS: Final = 300  # of them about names that senders chose: a message can name a hundred that nobody answers
DNS_RECORDS: Final = 256  # records of one answer that are kept
DNS_UDP_LEN: Final = 1232  # octets of an answer over UDP (EDNS): what passes everywhere without fragments
DNS_TTL_MAX_S: Final = 86_400.0
DNS_NEGATIVE_TTL_MAX_S: Final = 300.0  # a domain that is repaired is seen soon
DNS_FAILURE_TTL_S: Final = 5.0  # one broken zone must not cost one time-out per message
DNS_NAMES: Final = 32  # MX hosts, addresses or PTR names of one answer that are used
ROUTE_MEMO_ENTRIES: Final = 10_000
STS_POLICIES: Final = 10_000  # of MTA-STS that are kept, some 500 octets each: strangers choose the domains
STS_FETCHES: Final = 100  # of policies under way at a time
ADDRESSES_SLOW: Final = 10_000  # addresses of next hops that are remembered not to answer
CONNECTING_S: Final = 60.0  # then no further host of a next hop is tried: strangers may name many that are dead
TURN_S: Final = 30.0  # that a message waits in hand for its turn where a route limits the rate
NEXT_HOP_DOWN_S: Final = 30.0  # a next hop that refused a connection is not asked again by each waiting message
BOUNCE_HEADER_LEN: Final = 64 * 1024  # octets of the original header section that a bounce returns
BOUNCE_DEFAULT_LEN: Final = 100 * 1024  # a larger original is returned as its header section, unless RET=FULL
BOUNCE_FULL_LEN: Final = 10 * MIB  # RET=FULL is honoured up to this
BACKOFF_ENTRIES: Final = 10_000

# --- Sender authentication ------------------------------------------------------------------------
SPF_RECORDS_LEN: Final = 16 * 1024  # octets of records that one check reads; RFC 7208 s3.4 wants 450 of each
SPF_MEMO_ENTRIES: Final = 1000  # records that are kept as read: some 20 MB at worst
SPF_MEMO_LEN: Final = 1024  # octets of such a record
DMARC_RECORD_LEN: Final = 4096  # a longer record is none; those of use have some 200
DMARC_MEMO_ENTRIES: Final = 1000  # records that are kept as read, a few words each
FROM_DOMAINS: Final = 5  # domains of one From field that DMARC asks about, each with up to 8 questions
ALIGNMENT_WALKS: Final = 10  # signing domains under the author's organization that are asked about
RESULTS_VALUE_LEN: Final = 320  # octets of one value in Authentication-Results: an address of 64 + 1 + 255
RESULTS_SIGNATURES: Final = 10  # DKIM signatures that it names; honest mail bears up to four
AUTHSERV_ID_LEN: Final = 255  # characters of an authserv-id, which is a host name, that are compared

# --- Diagnostics ----------------------------------------------------------------------------------
DIAGNOSTIC_FILES: Final = 10_000  # logs and copies of all relays: what a directory and a page can still show
CONVERSATION_HELD_LEN: Final = 8 * 1024  # characters of one log that wait in memory; 5000 connections have 40 MB

# --- Quarantine -----------------------------------------------------------------------------------
QUARANTINE_ITEMS: Final = 100_000  # files of all relays; the pages know a few words of each, some 50 MB
QUARANTINE_TAKEN_LEN: Final = 512 * MIB  # octets of the files of one message: one of SCAN_FILE_CEILING_MB fits
QUARANTINE_TAKING_S: Final = 120.0  # then the message goes on without it; above SCANNER_DEADLINE_S
