"""Every bound that hostile input can reach, each with its reason. Settings may lower some; none is raised by input."""

from typing import Final

MIB: Final = 1 << 20

# --- SMTP session (RFC 5321 s4.5.3) ---------------------------------------------------------------
COMMAND_LINE_LEN: Final = 4096  # 512 by RFC 5321; ESMTP parameters of RFC 3461 and SMTPUTF8 add to it
PATH_LEN: Final = 1024  # 256 by RFC 5321; RFC 6531 s3.4 tells servers to expect more
RECIPIENTS: Final = 1000  # SMTP-18
HOPS: Final = 100  # SMTP-18: Received fields
PROTOCOL_ERRORS: Final = 10  # SMTP-14: then 421
COMMAND_TIMEOUT_S: Final = 300.0  # RFC 5321 s4.5.3.2.7
DATA_BLOCK_TIMEOUT_S: Final = 180.0  # RFC 5321 s4.5.3.2.5
DATA_TOTAL_TIMEOUT_S: Final = 3600.0  # nobody may hold a transaction open by sending an octet a minute
CONNECT_QUEUE: Final = 200  # SMTP-07
CONNECT_QUEUE_TIMEOUT_S: Final = 120.0  # SMTP-07
HARD_MESSAGE_LEN: Final = 2047 * MIB  # SIZE-02: above every setting; keeps lengths inside 31 bits

# --- Queue ----------------------------------------------------------------------------------------
RECORD_LEN: Final = 1 * MIB  # one record of a queue file; a larger length field is damage
BODY_CHUNK_LEN: Final = 256 * 1024  # octets of one Body record
CRASHES_TO_HOLD: Final = 3  # PROC-12

# --- Scan (CONT-03..07) ---------------------------------------------------------------------------
SCAN_DEPTH: Final = 10
SCAN_FILE_LEN: Final = 100 * MIB
SCAN_TOTAL_LEN: Final = 500 * MIB
SCAN_FILES: Final = 10_000
SCAN_TIME_S: Final = 60.0
MIME_PARTS: Final = 10_000  # parts of one message; the union of readings counts too
HEADER_LEN: Final = 1 * MIB  # octets of one header section that are read as fields
HEADER_FIELDS: Final = 5_000
BOUNDARY_LEN: Final = 998  # 70 by RFC 2046 s5.1.1; clients accept any line
FINDINGS: Final = 200  # findings kept for one message; more are only counted
NAME_LEN: Final = 1024  # a file name longer than this is cut for display

# --- Scanner process ------------------------------------------------------------------------------
SCANNER_ADDRESS_SPACE: Final = 4096 * MIB
SCANNER_DESCRIPTORS: Final = 256
SCANNER_DEADLINE_S: Final = 90.0  # wall time for one message, kept by the relay; above SCAN_TIME_S
