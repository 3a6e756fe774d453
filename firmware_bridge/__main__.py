"""``python -m firmware_bridge``: the bridge process, which a controller starts; see `process`."""

from __future__ import annotations

import sys

from firmware_bridge.process import main

if __name__ == "__main__":
    sys.exit(main())
