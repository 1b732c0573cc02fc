"""Block lists end to end, from client addresses of the outside world.

No list is asked about clients on loopback (DNSBL-03). So the cases, in outside/cases_block_lists.py, run in a network
of their own, where documentation addresses are addresses of this machine; nothing of it is seen outside.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

CASES: Final = Path(__file__).parent / "outside"
NETWORK: Final = 'ip link set lo up && ip route add local 192.0.2.0/24 dev lo && exec "$@"'


def test_cases_in_a_network_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """DNSBL-03: see outside/cases_block_lists.py."""
    inside = tmp_path_factory.mktemp("inside") / "t"
    # who is not root gets the right to set up that network, and nothing else, by being alone in it
    alone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--map-current-user", "--keep-caps", "--net"]
    # folders with short names: a path of a UNIX socket has 108 octets at most
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={inside}"]
    cases = sorted(str(path) for path in CASES.glob("cases_*.py"))
    assert cases
    done = subprocess.run([*alone, "sh", "-c", NETWORK, "sh", *tests, *cases], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
