"""Drive any pump by hand, through bridge and gate, in the foreground until done.

  infusor pump URL identify | status | stop | watch
  infusor pump URL infuse --rate-ml-h R --volume-ml V --diameter-mm D --syringe-ml S
  infusor pump URL bolus --volume-ml V --rate-ml-h R --diameter-mm D --syringe-ml S
  infusor pump URL restore

URL is DIALECT:PORT, or sim:DIALECT for a simulated pump that lives as long as the command.  With identify it
may be auto:PORT: who is there is then found out first, by questions only.  A clinical pump needs
--declare-not-connected NAME.  Whatever is asked, the bridge's first act is to stop the pump, and on leaving it puts back what it changed.  A
delivery has a volume target and is kept alive by this command once a second; Ctrl-C is an emergency
stop.  watch starts nothing: it shows what the pump says until Ctrl-C, and a pump that somebody starts at
its keypad meanwhile is stopped.  restore ends the safe mode that a session left behind which did not end
properly.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import replace

from controller.cli.declared import add_declaration
from controller.cli.outcome import DONE, NotNow, Usage, seen_enough
from controller.cli.pump_spec import PumpSpec, checked
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.latch import FileLatch
from firmware_bridge.runtime import latch_path

ACTIONS = ("identify", "status", "infuse", "bolus", "stop", "watch", "restore")
WHEN_LATCHED = ("identify", "status", "stop", "watch")
"""What a standing latch allows: stops and questions."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        help="DIALECT:PORT[?baud=..&address=..], sim:DIALECT; for identify also auto:PORT",
    )
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--device", default="bench-1", metavar="ID", help="default bench-1")
    parser.add_argument("--rate-ml-h", metavar="R", help="infuse, bolus: rate in mL/h")
    parser.add_argument("--volume-ml", metavar="V", help="infuse, bolus: volume target in mL")
    parser.add_argument(
        "--diameter-mm", metavar="D", help="infuse, bolus: inner diameter of the mounted syringe"
    )
    parser.add_argument("--syringe-ml", metavar="S", help="infuse, bolus: its nominal volume in mL")
    add_declaration(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--verbose", action="store_true", help="show the bridge's log on stderr")


def run(arguments: argparse.Namespace) -> int:
    answered: Mapping[str, object] | None = None
    try:
        if arguments.url.startswith("auto:"):
            from controller.cli.pump_probe import met_by_probe  # noqa: PLC0415 - few ask for it

            probed = met_by_probe(arguments)
            if probed is None:
                return DONE
            arguments.url, answered = probed
        spec = replace(checked(arguments), answered=answered)
        latch = FileLatch(latch_path(spec.device))
        if latch.is_set and spec.action not in WHEN_LATCHED:
            raise NotNow(
                f"{spec.device} is latched ({latch.reason}); "
                f"infusor estop --device {spec.device} --reset clears it"
            )
        return _run(spec)
    except ConfigurationError as error:
        raise Usage(str(error)) from error


def _run(spec: PumpSpec) -> int:
    from controller.cli.pump_session import PumpSession  # noqa: PLC0415 - nothing of it for bad input

    async def session() -> int:
        return await PumpSession(spec).run()

    try:
        return asyncio.run(session())
    except BrokenPipeError:  # of the lines of `watch`
        return seen_enough()
