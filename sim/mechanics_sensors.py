"""What a pump's pressure sensor shows: the mechanics' own reading, with the noise of the electronics.

The noise belongs to the instant, not to the reading: two readings within one sample are the same, and
reading draws nothing, so that looking changes nothing.  Offset and drift are faults of the sensor, set
with `sim.mechanics.Mechanics.sensor_error`; an alarm at the pressure limit heeds them, and not the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.chance import Draw, Normals, key_of, scattered
from sim.mechanics import Mechanics
from sim.mechanics_make import require

SAMPLE_NS = 100_000_000
"""Ten samples a second (own choice)."""

_64_BITS = 2.0**64


@dataclass(frozen=True, slots=True)
class PressureSensor:
    """One sensor; ``noise_mmhg`` is the SD of one sample.  ``key`` makes it differ from other pumps'."""

    noise_mmhg: float = 0.0
    sample_ns: int = SAMPLE_NS
    key: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        """Raises `MakeError`."""
        require("noise_mmhg", self.noise_mmhg, 0, 1_000)
        require("sample_ns", self.sample_ns, 1, 10**12)

    @classmethod
    def of(cls, noise_mmhg: float, draw: Draw) -> PressureSensor:
        """A sensor whose noise comes from this stream; one number is drawn, here and never again."""
        return cls(noise_mmhg, key=key_of(draw))

    def mmhg(self, mechanics: Mechanics) -> float:
        """What it shows now."""
        shown = mechanics.sensed_mmhg()
        if not self.noise_mmhg:
            return shown
        first = 2 * (mechanics.state.now_ns // self.sample_ns)
        uniform = (scattered(self.key, first + i) / _64_BITS for i in range(2))
        return shown + self.noise_mmhg * Normals(lambda: next(uniform))()
