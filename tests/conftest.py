"""What all folders of tests share: real servers, and a service built by the composition root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["servers"]
