"""The self-test before any drug: what must be true of link, pump, log, library and monitor.

The dead-man is tripped on purpose by the bridge with the motor stopped (`messages.SelfTest`); the rest
is looked at here.  No motor step happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_bridge.messages import Capability, HelloAck

if TYPE_CHECKING:
    from controller.runner import Runner

NEEDED = Capability.VOLUME_TARGET | Capability.DEAD_MAN
SENSORS = ("hr_bpm", "spo2_pct", "nibp_sys_mmhg", "nibp_dia_mmhg", "rr_bpm")


class SelfTest:
    """Collects findings, one sentence each; one that begins with FAILED fails the test."""

    def __init__(self, *, library_sha256: str, data_age_s_max: float) -> None:
        self._library_sha256 = library_sha256
        self._data_age_s_max = data_age_s_max

    def begin(self, runner: Runner) -> None:
        """The test was asked for; the dead-man proof is on its way."""
        runner.record("self_test", {"step": "dead-man proof, motor stopped"})

    def finish(
        self, runner: Runner, identity: HelloAck | None, *, dead_man: tuple[bool, str]
    ) -> tuple[bool, tuple[str, ...]]:
        """Whether everything holds, and every finding in one sentence each."""
        checks = [
            self._identity(identity),
            self._capabilities(identity),
            (dead_man[0], f"dead-man and stop path: {dead_man[1] or 'proved'}"),
            (runner.log.writable, "session log is writable"),
            (bool(self._library_sha256), f"drug library sha256 {self._library_sha256[:16]}"),
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
        lacking = NEEDED & ~has
        names = ", ".join(part.name or "" for part in Capability if part & lacking)
        return (
            not lacking,
            f"the pump lacks {names}" if names else "the pump has target and dead-man",
        )

    def _sensors(self, runner: Runner) -> tuple[bool, str]:
        missing = [key for key in SENSORS if not isinstance(runner.vitals.get(key), int | float)]
        if missing:
            return False, f"sensors: no valid {', '.join(missing)}"
        at = runner.vitals_at
        age = None if at is None else runner.loop.time() - at
        if age is None or age > self._data_age_s_max:
            return False, "sensors: no recent sample"
        return True, "sensors plausible"
