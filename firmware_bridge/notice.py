"""The sentence that every surface carries."""

from __future__ import annotations

NOTICE = "Bench and simulation only. Never a pump connected to a person."
