"""A whole visit in virtual time, in one process: the same controller, bridge, gate, codecs and pump.

Everything that is joined by processes and ports in a real run is joined by memory here.  One seed fixes
schedule, patient, clinician and link; the digest over every byte on every wire and every log record
proves it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from controller.announcer import Announcer
from controller.cli.fault_stage import Cable, VisitFaults
from controller.cli.oracle import Oracle, Violation
from controller.conduct import Conductor, Parts, Report
from controller.event_log import EventLog, Header
from controller.log_facts import visit_facts
from controller.log_format import Record, Stamp, decode_line
from controller.log_storage import MemoryStorage, Storage
from controller.plan import Plan
from controller.procedure import events as told
from controller.procedure.visit import Bounds, Recovered
from controller.publisher import MemoryBus
from controller.pump_hand import Pace
from controller.runner import Observer, Operator, Runner
from controller.samples import Samples
from controller.telemetry import Telemetry
from controller.tell_world import TellWorld
from controller.vitals_link import VitalsLink
from firmware_bridge.bridge import Bridge
from firmware_bridge.caps import load_caps
from firmware_bridge.clock import wall_ms
from firmware_bridge.dialect import HostDialect
from firmware_bridge.dialects import make_dialect, parse_pump_url
from firmware_bridge.errors import LinkError
from firmware_bridge.latch import Latch, MemoryLatch
from firmware_bridge.protocols.pumplink_host import HostSession
from firmware_bridge.transports import memory
from firmware_bridge.transports.base import Transport
from sim.devices.base import Device
from sim.devices.kinds import new_pump
from sim.drug_models import parameter_set
from sim.faults.script import Entry
from sim.mechanics import Mount
from sim.monitor import Monitor
from sim.patient import Patient
from sim.ports import MemoryPort
from sim.serve import Served
from sim.world import World

DIALECT = "new-era"
PUMP = f"sim:{DIALECT}"

MakeOperator = Callable[[Callable[[], float]], Operator]
"""Makes the operator from the stream ``people``."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of it: the report, the digest, and every invariant that did not hold."""

    report: Report
    digest: str
    violations: tuple[Violation, ...]
    faults: Mapping[str, int] = field(default_factory=dict)
    """How often each kind of fault has begun."""


@dataclass(slots=True)
class Stage:
    """One rehearsal: its parts, at hand for whoever wants to break one while it runs.

    ``storage`` and ``latch`` are what a restarted controller would find again; pass the same ones, with
    ``recovered``, to rehearse the restart.
    """

    plan: Plan
    seed: int
    make_operator: MakeOperator
    storage: Storage = field(default_factory=MemoryStorage)
    latch: Latch = field(default_factory=MemoryLatch)
    device_id: str = "bench-1"
    session: str = "S-0001"
    dialect: str = DIALECT
    """Of the simulated pump, and of the bridge that drives it."""
    pump: Device | None = None
    observers: tuple[Observer, ...] = ()
    recovered: Recovered | None = None
    since_nl: int | None = None
    """Where the plunger stood when the visit first began; None where it begins now."""
    on_runner: Callable[[Runner], None] = lambda _runner: None
    disturb: Callable[[Mapping[str, object]], Mapping[str, object]] = lambda line: line
    """What a line of the monitor becomes on its way to the controller."""
    faults: Sequence[Entry] = ()
    """What breaks, and when."""
    wire: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    bridges: list[asyncio.Task[bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    boots: int = 0
    plugged: bool = True
    port_used: bool = False
    runner: Runner | None = None
    world: World | None = None
    bus: MemoryBus = field(init=False)
    served: Served = field(init=False)
    host_end: memory.MemoryTransport = field(init=False)
    vitals: VitalsLink = field(init=False)

    def stream(self, name: str) -> random.Random:
        """The random stream of this name: a draw from one never shifts another."""
        return random.Random(f"{self.seed}:{name}")  # noqa: S311 - a simulation, not a secret

    async def run(self) -> Rehearsed:
        """The visit, from hello to the sealed log."""
        loop = asyncio.get_running_loop()
        plan = self.plan
        mount = Mount(plan.syringe.diameter_um, plan.syringe.size.nl, plan.syringe.loaded.nl)
        self.pump = self.pump or new_pump(self.dialect, mount)
        self.served = Served(self.pump, loop, MemoryPort(self._plug(loop)), seed=self.seed)
        mischief = self._mischief(loop)
        log = self._log(loop)
        telemetry = Telemetry(
            device=self.device_id, boot=log.boot, session=log.session, simulated=True
        )
        self.bus = MemoryBus(telemetry, on_estop=self._remote_stop)
        self.bus.follow(log)
        oracle = Oracle(self.served.truth, since_nl=self.since_nl)
        operator = self.make_operator(self.stream("people").random)
        await self.bus.start(0)
        watchers: tuple[Observer, ...] = (oracle,) if mischief is None else (oracle, mischief)
        conductor = Conductor(self._parts(loop, log, telemetry, operator, watchers))
        self.runner = runner = await conductor.start()
        monitor = self._world(loop, runner)
        if mischief is not None:
            mischief.begin(runner, monitor.artefacts)
        self.on_runner(runner)
        report = await conductor.finish()
        await self._close()
        oracle.ended(runner, self.events())
        self.wire.update(log.h.encode())
        violations, digest = tuple(oracle.violations), self.wire.hexdigest()
        if mischief is None:
            return Rehearsed(report, digest, violations)
        report = replace(report, warnings=(*report.warnings, *mischief.never_begun()))
        return Rehearsed(report, digest, violations, dict(mischief.begun))

    def _mischief(self, loop: asyncio.AbstractEventLoop) -> VisitFaults | None:
        """Whoever plays the fault script, if there is one; it follows the pump from now on."""
        if not self.faults:
            return None
        cable = Cable(self.unplug, self.replug, loop.call_later)
        mischief = VisitFaults(self.faults, self.stream("faults"), cable)
        mischief.watch(self.served)
        return mischief

    def _parts(
        self,
        loop: asyncio.AbstractEventLoop,
        log: EventLog,
        telemetry: Telemetry,
        operator: Operator,
        watchers: Sequence[Observer],
    ) -> Parts:
        announcer = Announcer(
            telemetry,
            self.bus,
            lambda: _stamp(loop),
            procedure=self.plan.name,
            drug=self.plan.drug,
            pump=f"sim:{self.dialect}",
            version=version("infusor"),
        )
        link_ids = self.stream("link")
        return Parts(
            plan=self.plan,
            log=log,
            open_bridge=self._open_bridge,
            new_session=lambda: HostSession(1 + int(link_ids.random() * 0xFFFE)),
            operator=operator,
            latch=self.latch,
            pace=Pace(),
            bounds=Bounds(data_age_s=self.plan.limits.data_age_s_max),
            wall_ms=lambda: wall_ms(loop),
            durable=False,
            announcer=announcer,
            observers=(Samples(), *watchers, *self.observers),
            recovered=self.recovered,
            declared="a rehearsal",  # its pump is connected to a model of a patient
        )

    # --- pump and bridge ------------------------------------------------------------------------------

    def _plug(self, loop: asyncio.AbstractEventLoop) -> memory.MemoryTransport:
        """A new cable between bridge and pump; returns the pump's end."""
        self.host_end, pump_end = memory.pair(loop, a_name="bridge", b_name="pump", tap=self._tap)
        return pump_end

    def unplug(self) -> None:
        """The port is gone; the pump goes on with what it was doing."""
        self.plugged = False
        self.served.unplug()
        self.host_end.cut()

    def replug(self) -> None:
        """The port is back under the same name."""
        self.plugged = True

    async def _open_port(self) -> Transport:
        if not self.plugged:
            raise LinkError("memory", "no such port")
        if self.port_used:
            self.served.connect(self._plug(asyncio.get_running_loop()))
        self.port_used = True
        return self.host_end

    def _host(self) -> HostDialect:
        return make_dialect(replace(parse_pump_url(f"sim:{self.dialect}"), port=self.dialect))

    async def _open_bridge(self) -> Transport:
        loop = asyncio.get_running_loop()
        mine, its = memory.pair(loop, a_name="controller", b_name="bridge", tap=self._tap)
        self.boots += 1
        bridge = Bridge(
            its,
            self._open_port,
            self._host,
            device=self.device_id,
            loop=loop,
            caps=load_caps(),
            latch=self.latch,
            boot_id=self.boots,
            log=self._note,
        )
        ready: asyncio.Future[None] = loop.create_future()

        def let_in() -> None:
            if self.boots > 1 or self.recovered is not None:
                bridge.disown()
            ready.set_result(None)

        serving = loop.create_task(bridge.run(let_in), name=f"bridge {self.boots}")
        self.bridges.append(serving)
        # As with a process: nobody speaks to a bridge before it has stopped its pump and seen it stand.
        either: tuple[asyncio.Future[Any], ...] = (ready, serving)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await serving  # raises what kept it from meeting its pump
        return mine

    def _tap(self, name: str, data: bytes) -> None:
        """Every byte on every wire, with its time, goes into the digest."""
        at_ns = round(asyncio.get_running_loop().time() * 1e9)
        self.wire.update(b"%d %s " % (at_ns, name.encode()))
        self.wire.update(data)

    def _remote_stop(self, payload: bytes) -> None:
        del payload  # every live message is a stop, whatever is in it
        if self.runner is not None:
            self.runner.stop_now("mqtt")

    def _note(self, line: str) -> None:
        self.notes.append(line)

    # --- world and log --------------------------------------------------------------------------------

    def _world(self, loop: asyncio.AbstractEventLoop, runner: Runner) -> Monitor:
        subject, served = self.plan.subject, self.served
        patient = Patient(
            parameter_set(self.plan.drug, age_years=subject.age_years),
            weight_kg=subject.weight_kg,
            age_years=subject.age_years,
            height_cm=subject.height_cm,
            draw=self.stream("patient").random,
            start_s=loop.time(),
        )
        start_nl = served.delivered_nl(loop.time())
        near, far = memory.pair(loop, a_name="controller", b_name="monitor")
        monitor = Monitor(patient, self.stream("patient/monitor").random)
        world = World(
            patient=patient,
            monitor=monitor,
            concentration_ug_ml=self.plan.concentration.ug_ml,
            send=far.write,
            plunger=lambda now: served.delivered_nl(now) - start_nl,
        )
        far.start(world.hear, lambda _cause: world.stop())
        self.vitals = VitalsLink(
            near,
            lambda line: runner.vitals_arrived(self.disturb(line)),
            lambda: runner.post(told.VitalsLost()),
        )
        runner.observers.append(TellWorld(self.vitals, reports=False))
        self.world = world
        world.start()
        return monitor

    def _log(self, loop: asyncio.AbstractEventLoop) -> EventLog:
        def failed(error: OSError) -> None:
            if self.runner is not None:
                self.runner.post(told.LogFailed(str(error)))

        boot = f"{int(self.stream('boot').random() * 16**12):012x}"
        if self.recovered is not None:
            log, _ = EventLog.recover(
                self.storage, boot=boot, stamp=lambda: _stamp(loop), on_failure=failed
            )
        else:
            header = Header(
                version("infusor"),
                self.device_id,
                self.plan.name,
                self.plan.procedure_sha256,
                simulated=True,
                extra={
                    "pump": f"sim:{self.dialect}",
                    "clock": "virtual",
                    "seed": self.seed,
                    **visit_facts(self.plan),
                },
            )
            log = EventLog.create(
                self.storage,
                header,
                session=self.session,
                boot=boot,
                stamp=lambda: _stamp(loop),
                on_failure=failed,
            )
        return log

    def events(self) -> list[Record]:
        """What the log says, without the one-second samples."""
        lines = self.storage.contents().splitlines()
        return [decode_line(line) for line in lines if b'"kind":"sample"' not in line]

    async def _close(self) -> None:
        if self.world is not None:
            self.world.stop()
        self.vitals.close()
        await asyncio.gather(*self.bridges, return_exceptions=True)
        self.served.close()
        await self.bus.close()


def _stamp(loop: asyncio.AbstractEventLoop) -> Stamp:
    return Stamp(wall_ms(loop), round(loop.time() * 1_000))
