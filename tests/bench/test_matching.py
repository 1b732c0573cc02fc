"""The bench of the matcher measures only what found the same."""

import pytest

from bench import matching


def test_every_matcher_has_to_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    needles = matching.noise(50)
    assert needles == matching.noise(50), "the same patterns in every run"
    parts = [b"." * 99 + needle + needles[0] for needle in needles[1 : matching.HITS + 1]]
    made, found = matching.runs(needles, parts)
    assert found == 2 * matching.HITS and {"mailward", "pyahocorasick"} <= made.keys()
    monkeypatch.setitem(matching.PEERS, "pyahocorasick", lambda _: lambda parts: found - 1)
    with pytest.raises(matching.Differs):
        matching.runs(needles, parts)
    with pytest.raises(matching.Differs):
        matching.runs(needles, parts[: matching.HITS // 2 - 1])
