"""Certificates of the gateway: request, installation, state, and issue by ACME (CERT-01..09).

One is in force, for the pages and for STARTTLS: `engine/certificate.py` has its file. Beside it lie the one before it
and, while a request waits for its certificate, the request with its key.

    request.py    the fields and the key: what is sent to the authority
    material.py   what people paste or upload: PEM, DER, PKCS#7, PKCS#12
    chain.py      whether it may be installed, and what is worth knowing about it
    keeper.py     the files: install, restore, wait for an answer
    live.py       the TLS of the pages, which takes a new certificate without a restart
    acme.py       RFC 8555: an authority that checks and answers at once
    renewal.py    when that is asked
"""
