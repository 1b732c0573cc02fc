"""DKIM signatures of real mail: hashes of header and body as dkimpy makes them. No key is needed for that."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import dkim
import pytest

from engine.scan import canonical, signed
from engine.scan.claims import collect
from tests.corpus.material import Unpack

PACKS = ("ham-enron", "ham-lists", "spam-phishing_pot", "spam-sa")


@pytest.mark.parametrize("pack", PACKS)
def test_hashes_are_those_of_dkimpy(unpack: Unpack, pack: str) -> None:
    """WL-05: every message is read without a failure; where dkimpy reads it too, both hash the same octets."""
    _, folder = unpack(pack, pack)
    count = {"messages": 0, "signatures": 0, "hashed": 0, "bodies that fit": 0, "only we": 0, "only dkimpy": 0}
    for path in sorted(one for one in Path(folder).rglob("*") if one.is_file()):
        message = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
        claims = collect(message)
        count["messages"] += 1
        section = canonical.Section(message)
        for index, claim in enumerate(claims.signatures):
            count["signatures"] += 1
            theirs = _hashed(message, index)
            if not claim.digest or theirs is None:
                count["only we"] += bool(claim.digest)
                count["only dkimpy"] += theirs is not None
                assert claim.digest or claim.reason
                continue
            header, body, fits = theirs
            assert claim.digest == header, (path.name, index)
            count["hashed"] += 1
            count["bodies that fit"] += fits
            if not fits:
                assert claim.result in ("fail", "permerror"), (path.name, index, claim.reason)
            else:
                field = section.named(b"dkim-signature")[index]
                assert (claim.result, body) == ("", signed.read(section, field).body_hash)
    assert count["messages"] and not count["only dkimpy"], count
    assert (count["hashed"] > 0) == (count["signatures"] > 0), count


def _hashed(message: bytes, index: int) -> tuple[bytes, bytes, bool] | None:
    """(hash of the header, of the body, whether bh= is that), by dkimpy; None for what it refuses."""
    try:
        verifier: Any = dkim.DKIM(message)
        tags, names, fields = verifier.verify_headerprep(index)
        if tags[b"a"] == b"rsa-sha1":
            return None
        policy = dkim.CanonicalizationPolicy.from_c_value(tags.get(b"c"))
    except (dkim.DKIMException, dkim.InvalidCanonicalizationPolicyError, IndexError, ValueError):
        return None
    header = hashlib.sha256()
    names.append(b"from")  # as verify() does
    dkim.hash_headers(header, policy, policy.canonicalize_headers(verifier.headers), names, fields[index], tags)
    body = policy.canonicalize_body(verifier.body)
    if b"l" in tags:
        body = body[: int(tags[b"l"])]
    digest = hashlib.sha256(body).digest()
    return header.digest(), digest, digest == base64.b64decode(re.sub(rb"\s+", b"", tags[b"bh"]))
