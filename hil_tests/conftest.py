"""What every test shares: a pump of one's own for the bench scenarios, and who may run beside whom."""

from __future__ import annotations

import pytest

ALONE = ("test_kills", "test_emergency_stop_real", "test_bench.py")
"""Files that measure against the wall clock: they take turns on one worker."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pump",
        metavar="URL",
        default=None,
        help="run the bench scenarios on this pump too, such as new-era:/dev/ttyUSB0, connected to "
        "nobody; they always run on the simulated one",
    )
    parser.addoption(
        "--diameter-mm",
        metavar="D",
        default="19.05",
        help="inner diameter of the syringe in that pump (default: BD 20 mL)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(name in item.path.name for name in ALONE):
            item.add_marker(pytest.mark.xdist_group("wall clock"))
