"""Block lists end to end, from client addresses of the outside world.

No list is asked about clients on loopback (DNSBL-03). So the cases, in outside/cases_block_lists.py, run in a network
of their own, where documentation addresses are addresses of this machine; nothing of it is seen outside.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

CASES: Final = Path(__file__).parent / "outside"
NETWORK: Final = 'ip link set lo up && ip route add local 192.0.2.0/24 dev lo && exec "$@"'


def test_cases_in_a_network_of_their_own(tmp_path: Path) -> None:
    """DNSBL-03: see outside/cases_block_lists.py."""
    # who is not root gets the right to set up that network, and nothing else, by being alone in it
    alone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--map-current-user", "--keep-caps", "--net"]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inside'}"]
    cases = sorted(str(path) for path in CASES.glob("cases_*.py"))
    assert cases
    done = subprocess.run([*alone, "sh", "-c", NETWORK, "sh", *tests, *cases], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
