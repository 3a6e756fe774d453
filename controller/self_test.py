"""The self-test before any drug: what must be true of link, pump, log, library and monitor.

The dead-man is tripped on purpose by the bridge with the motor stopped (`messages.SelfTest`); the rest
is looked at here.  No motor step happens.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.library import LibraryError
from controller.runner_face import RunnerFace
from firmware_bridge.declaration import undeclared
from firmware_bridge.lacking import NEEDED_BY_PROCEDURES
from firmware_bridge.messages import Capability, HelloAck

NEEDED = NEEDED_BY_PROCEDURES
PLAUSIBLE = {
    "hr_bpm": (20.0, 250.0),
    "spo2_pct": (50.0, 100.0),
    "nibp_sys_mmhg": (50.0, 260.0),
    "nibp_dia_mmhg": (20.0, 180.0),
    "rr_bpm": (3.0, 60.0),
}
"""What a monitor on somebody who sits and waits can show; outside, the sensor is off or misread
[design].  Wide on purpose: whether somebody is fit for a drug is the baseline's question."""


def pump_name(identity: HelloAck) -> str:
    """By what a pump is told from another one; two of one kind without serial numbers are alike."""
    return f"{identity.firmware} {identity.serial_number}".strip()


class SelfTest:
    """Collects findings, one sentence each; one that begins with FAILED fails the test."""

    def __init__(
        self,
        *,
        library_sha256: str,
        library_now: Callable[[], str],
        data_age_s_max: float,
        declared: str = "",
    ) -> None:
        """``library_sha256`` is what the plan was checked against, ``library_now`` hashes the file anew.

        ``declared``: who has said that a clinical pump is connected to nobody.
        """
        self._declared = declared
        self._library_sha256 = library_sha256
        self._library_now = library_now
        self._data_age_s_max = data_age_s_max

    def begin(self, runner: RunnerFace) -> None:
        """The test was asked for; the dead-man proof is on its way."""
        runner.record("self_test", {"step": "dead-man proof, motor stopped"})

    def finish(
        self, runner: RunnerFace, identity: HelloAck | None, *, dead_man: tuple[bool, str]
    ) -> tuple[bool, tuple[str, ...]]:
        """Whether everything holds, and every finding in one sentence each."""
        if identity is not None:
            runner.record("identity", {"pump": pump_name(identity)})
        checks = [
            self._identity(identity),
            self._capabilities(identity),
            (dead_man[0], f"dead-man and stop path: {dead_man[1] or 'proved'}"),
            (runner.log.writable, "session log is writable"),
            self._library(),
            self._sensors(runner),
        ]
        findings = tuple(f"{'ok' if ok else 'FAILED'}: {text}" for ok, text in checks)
        return all(ok for ok, _ in checks), findings

    def _identity(self, identity: HelloAck | None) -> tuple[bool, str]:
        if identity is None:
            return False, "identity: nobody answers"
        return bool(identity.firmware), f"identity: {identity.firmware or 'unknown'}"

    def _capabilities(self, identity: HelloAck | None) -> tuple[bool, str]:
        has = identity.capabilities if identity else Capability.NONE
        not_said = undeclared(has, self._declared)
        if not_said:
            return False, not_said
        lacking = NEEDED & ~has
        names = ", ".join(part.name or "" for part in Capability if part & lacking)
        return (
            not lacking,
            f"the pump lacks {names}" if names else "the pump has target and dead-man",
        )

    def _library(self) -> tuple[bool, str]:
        try:
            now = self._library_now()
        except (OSError, LibraryError) as error:
            return False, f"drug library: {error}"
        if now != self._library_sha256:
            return False, "drug library: not the one that the plan was checked against"
        return True, f"drug library sha256 {now[:16]}"

    def _sensors(self, runner: RunnerFace) -> tuple[bool, str]:
        seen = runner.visit.vitals
        if seen.heard_at is None or runner.loop.time() - seen.heard_at > self._data_age_s_max:
            return False, "sensors: no recent sample"
        missing = [key for key in PLAUSIBLE if key not in seen.sample]
        if missing:
            return False, f"sensors: no valid {', '.join(missing)}"
        odd = [
            f"{key} {seen.sample[key]:g} is not from {low:g} to {high:g}"
            for key, (low, high) in PLAUSIBLE.items()
            if not low <= seen.sample[key] <= high
        ]
        return not odd, f"sensors: {', '.join(odd)}" if odd else "sensors plausible"
