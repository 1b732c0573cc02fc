"""Material of others, named by MAILWARD_DATA: a folder with manifests and packs. None of it is in the repository.

Without MAILWARD_DATA these tests are not collected: they are for `make corpus`.
"""

import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.corpus.material import Entries, Recorder, Unpack

FOLDER = os.environ.get("MAILWARD_DATA", "")

if not FOLDER:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def unpack(tmp_path_factory: pytest.TempPathFactory) -> Unpack:
    """Gives (entries of a manifest, none if there is no manifest, folder of its unpacked packs)."""

    def unpacked(name: str, *packs: str) -> tuple[Entries, Path]:
        target = tmp_path_factory.mktemp(name)
        for pack in packs:
            with tarfile.open(Path(FOLDER) / f"{pack}.tar.xz") as archive:
                # Python 3.11 before 3.11.4, which Debian 12 has, knows no filters: the packs are our own material.
                if hasattr(tarfile, "data_filter"):
                    archive.extractall(target, filter="data")
                else:
                    archive.extractall(target)
        manifest = Path(FOLDER) / f"manifest-{name}.json"
        return json.loads(manifest.read_text())["entries"] if manifest.exists() else [], target

    return unpacked
