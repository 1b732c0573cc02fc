"""Encodings of others: what two of their decoders agree on is found, and nothing that cannot be had is clean."""

import time

from engine.config import ContainerLimits
from engine.scan.facts import Verdict
from engine.scan.walk import Walker, looks_like_message
from tests.corpus.material import Recorder, Unpack

SLOWEST_S = 10.0
# Bodies without the header section that would say how they are encoded; no mail reader decodes them as they are.
BODIES = {"transfer/gmime_photo.b64": b"base64", "transfer/gmime_wikipedia.qp": b"quoted-printable"}


def test_decoded_files_agree(unpack: Unpack, recorder: Recorder) -> None:
    entries, folder = unpack("encodings", "encodings")
    walker = Walker(recorder, ContainerLimits(), digests=True, clock=time.monotonic)
    agreed, absent, silent, slow = 0, [], [], []
    for entry in entries:
        data = (folder / entry["file"]).read_bytes()
        if entry["file"] in BODIES:
            data = b"Content-Transfer-Encoding: " + BODIES[entry["file"]] + b"\n\n" + data
        name = entry["file"].rsplit("/", 1)[-1]
        begun = time.monotonic()
        found = (
            walker.walk_message(data)
            if entry["file"] in BODIES or looks_like_message(data, name)
            else walker.walk_file(data, name)
        )
        facts = found.facts
        if time.monotonic() - begun > SLOWEST_S:
            slow.append(entry["file"])
        have = {part.sha256 for part in facts.parts}
        have |= {recorder.norms[one] for one in have if one in recorder.norms}
        lacking = [one["filename"] for one in entry.get("expected", []) if one["sha256"] not in have]
        kinds = sorted({one.kind for one in facts.findings} | {one.detail for one in facts.unscanned})
        disputed = [one["filename"] for one in entry.get("disputed", []) if one["sha256"] not in have]
        print(
            entry["file"], facts.verdict.value, "lacking" if lacking else "agrees", lacking, "disputed", disputed, kinds
        )
        if not lacking:
            agreed += 1
        else:
            absent.append((entry["file"], lacking))
            if facts.verdict is Verdict.CLEAN:
                silent.append(entry["file"])
    print(f"{agreed} of {len(entries)} entries hold what other decoders agree on")
    assert not slow and not silent
    assert not absent
