"""What to expect of a closed line: the time until the occlusion alarm, and the bolus on release.

For a syringe and line of constant compliance: t = C dP / r and V = C dP.
"""

from __future__ import annotations

import argparse
import json
import sys

from controller.bench.occlusion import occlusion
from controller.cli.numbers import number
from controller.cli.outcome import DONE
from firmware_bridge.notice import NOTICE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; numbers stay text here, so that every complaint is ours."""
    parser.add_argument(
        "--compliance-ul-mmhg", required=True, metavar="C", help="of syringe and line, such as 2.0"
    )
    parser.add_argument(
        "--rise-mmhg", required=True, metavar="P", help="from the start to the alarm, such as 500"
    )
    parser.add_argument("--rate-ml-h", required=True, metavar="R", help="what the pump is set to")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Exit codes: 0, 2 for a number that is none."""
    options = ("compliance_ul_mmhg", "rise_mmhg", "rate_ml_h")
    compliance, rise, rate = (
        float(number(f"--{name.replace('_', '-')}", getattr(arguments, name), decimals=4))
        for name in options
    )
    expected = occlusion(compliance, rise, rate)
    if arguments.json:
        found = {
            "time_to_alarm_min": expected.time_to_alarm_min,
            "bolus_ml": expected.bolus_ml,
        }
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.write(
            f"alarm after {expected.time_to_alarm_min:g} min; "
            f"{expected.bolus_ml:g} mL are let go on release\n"
        )
    sys.stderr.write(f"{NOTICE}\n")
    return DONE
