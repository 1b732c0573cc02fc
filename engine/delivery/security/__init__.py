"""What security a host of a next hop has to have, and whether it has: DANE (RFC 7672) and MTA-STS (RFC 8461).

In order: names.py (does a name fit a pattern), dane.py (TLSA records, and certificates against them), policy.py (texts
of MTA-STS), fetch.py and policies.py (where policies come from, and where they are kept), demand.py (all of it, for
one host of a next hop).
"""
