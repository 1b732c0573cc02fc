"""The data plane: SMTP in, durable queue, scan, policy, delivery. Knows cext, never control or signatures."""

from typing import Final

VERSION: Final = "0.1.0"
