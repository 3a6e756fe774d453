"""The world as a process of its own: a pump on a pseudo-terminal, a patient, and his monitor.

    python -m sim.world_process '{"fd": 7, "speed": 60, "seed": 1, ...}'

Vitals go out, and facts come in, over the inherited socket ``fd``.  SIGTERM ends the world at once; when
the other end of the socket closes, its pump stays for a few seconds more, as a real one would.  One line on stdout when ready: {"ready": true, "port": "/dev/pts/3"}; ``port`` is null for a world
without a pump of its own, whose patient is fed what a real pump reports.

For bench and simulation only.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from dataclasses import dataclass

from firmware_bridge.clock import new_loop
from firmware_bridge.errors import Disconnected, LinkError
from firmware_bridge.transports.fd import FdTransport
from sim.chance import Draw
from sim.devices.kinds import new_pump
from sim.drug_models import parameter_set
from sim.mechanics import Mount
from sim.monitor import Monitor
from sim.patient import Patient
from sim.serve import Served, serve_pty
from sim.world import World

LINGER_S = 5.0
"""Wall seconds for which the pump outlives a controller that vanished."""


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """What the world is to be; see the module.  ``with_pump`` False: a real pump is connected."""

    fd: int
    speed: float
    seed: int
    drug: str
    concentration_ug_ml: int
    weight_kg: float
    age_years: float
    height_cm: float
    with_pump: bool
    diameter_um: int
    size_nl: int
    loaded_nl: int
    dialect: str = "new-era"
    """Of its pump, where it has one."""

    def as_argument(self) -> str:
        """The one command-line argument."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def patient_of(spec: WorldSpec, start_s: float) -> Patient:
    """The patient that this seed draws, at the age and weight of the bench subject."""
    return Patient(
        parameter_set(spec.drug, age_years=spec.age_years),
        weight_kg=spec.weight_kg,
        age_years=spec.age_years,
        height_cm=spec.height_cm,
        draw=_stream(spec, "patient"),
        start_s=start_s,
    )


def main() -> int:
    """Run until the controller's end of the vitals socket closes, or SIGTERM."""
    spec = WorldSpec(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's; it ends this world
    loop = new_loop(spec.speed)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_live(spec, loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return 0


async def _live(spec: WorldSpec, loop: asyncio.AbstractEventLoop) -> None:
    ended, told = asyncio.Event(), asyncio.Event()

    def end_at_once(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(told.set)
        loop.call_soon_threadsafe(ended.set)

    signal.signal(signal.SIGTERM, end_at_once)
    served = _pump(spec, loop) if spec.with_pump else None
    controller = FdTransport(spec.fd, "vitals", loop)
    patient = patient_of(spec, loop.time())

    def send(line: bytes) -> None:
        try:
            controller.write(line)
        except Disconnected:
            ended.set()
        except LinkError:
            pass  # nobody takes them: a sample that is late is worth nothing

    world = World(
        patient=patient,
        monitor=Monitor(patient, _stream(spec, "patient/monitor")),
        concentration_ug_ml=spec.concentration_ug_ml,
        send=send,
        plunger=served.delivered_nl if served else None,
    )
    controller.start(world.hear, lambda _cause: ended.set())
    world.start()
    sys.stdout.write(json.dumps({"ready": True, "port": served.port if served else None}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    world.stop()
    controller.close()
    if served:
        if not told.is_set():
            await _linger(told, spec.speed)
        served.close()


async def _linger(told: asyncio.Event, speed: float) -> None:
    """The controller vanished; a pump would not, and its bridge has yet to stop it."""
    try:
        async with asyncio.timeout(LINGER_S * speed):
            await told.wait()
    except TimeoutError:
        pass


def _pump(spec: WorldSpec, loop: asyncio.AbstractEventLoop) -> Served:
    mount = Mount(spec.diameter_um, spec.size_nl, spec.loaded_nl)
    return serve_pty(new_pump(spec.dialect, mount), loop)


def _stream(spec: WorldSpec, name: str) -> Draw:
    return random.Random(f"{spec.seed}:{name}").random  # noqa: S311 - a simulation, not a secret


if __name__ == "__main__":
    sys.exit(main())
