"""Measurements. asv finds this folder by itself, but not what lies beside it: bench builds its content with tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
