"""Which dialects there are, and what a pump URL means: ``DIALECT:PORT[?baud=..&address=..]``.

Answerable for turning what an operator typed into one frozen value or one clear sentence; not for
opening the port (`transports.opening`).

Others add a dialect without touching this package: an installed distribution names, in the entry point
group ``infusor.dialects``, an object (a module will do) whose attribute ``host`` is a `DialectKind`.
Its attribute ``device``, if any, is the simulator's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from firmware_bridge.dialect import HostDialect
from firmware_bridge.errors import ConfigurationError
from firmware_bridge.messages import Capability
from firmware_bridge.protocols.alaris import LEASE, Alaris
from firmware_bridge.protocols.fresenius import MODULES, Fresenius
from firmware_bridge.protocols.fresenius_replies import SetArgument
from firmware_bridge.protocols.harvard import Harvard
from firmware_bridge.protocols.new_era import NewEra
from firmware_bridge.protocols.pumplink_dialect import Pumplink
from firmware_bridge.quantities import Duration

ENTRY_POINT_GROUP = "infusor.dialects"

REPLY_WITHIN = Duration(500)
"""How long a pump may take to answer, at the usual speeds of a serial line."""

_SLOW_BAUD = 9_600  # below this an exchange alone takes the better part of the usual wait
_SLOW_REPLY_WITHIN = Duration(1_000)
_EXCHANGE_BITS = 64 * 10  # request and answer of 64 characters, ten bits each
_URL_MAX = 300
_COMMON_OPTIONS = ("baud", "address")
_FORM = "DIALECT:PORT[?baud=..&address=..]"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectKind:
    """A dialect that can be asked for by name, with the options of its pump URL."""

    name: str
    make: Callable[[PumpUrl, Duration], HostDialect]
    """Makes an instance for one port, whose pump may take so long to answer."""
    bauds: tuple[int, ...]
    baud: int
    """The speed when the URL names none."""
    address_max: int
    """0 where the family has no addresses."""
    address: int = 0
    """The address when the URL names none, and the lowest there is."""
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    options: Mapping[str, str] = field(default_factory=dict)
    """Further options of the URL, each with the regular expression that its value must match."""
    capabilities: Capability | None = None
    """What every pump of the family can do; ``None``: only the pump itself says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpUrl:
    """A pump URL, understood and checked."""

    dialect: str
    port: str
    """What pyserial's ``serial_for_url`` takes; empty for ``sim:DIALECT``, which names no port yet."""
    simulated: bool
    baud: int
    address: int
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    options: tuple[tuple[str, str], ...] = ()
    """What the URL says of the dialect's own options."""


def _new_era(url: PumpUrl, reply_within: Duration) -> HostDialect:
    return NewEra(port=url.port, address=url.address, reply_within=reply_within)


def _harvard(url: PumpUrl, reply_within: Duration) -> HostDialect:
    return Harvard(port=url.port, address=url.address, reply_within=reply_within)


def _alaris(url: PumpUrl, reply_within: Duration) -> HostDialect:
    lease = dict(url.options).get("lease_s")
    return Alaris(
        port=url.port,
        reply_within=reply_within,
        lease=LEASE if lease is None else Duration.from_s(lease),
    )


def _fresenius(url: PumpUrl, reply_within: Duration) -> HostDialect:
    numbers = dict(url.options).get("set_argument", SetArgument.HEX.value)
    return Fresenius(
        port=url.port,
        address=url.address,
        reply_within=reply_within,
        set_argument=SetArgument(numbers),
    )


def _pumplink(url: PumpUrl, reply_within: Duration) -> HostDialect:
    return Pumplink(port=url.port, reply_within=reply_within)


BUILT_IN = {
    "new-era": DialectKind(
        name="new-era",
        make=_new_era,
        bauds=(300, 1_200, 2_400, 9_600, 19_200),  # NE-1000 manual 1200-01, section 10
        baud=19_200,
        address_max=99,
        capabilities=NewEra.capabilities,
    ),
    "harvard": DialectKind(
        name="harvard",
        make=_harvard,
        bauds=(  # 5420-002 Rev C, pages 52-60
            *(9_600, 19_200, 38_400, 57_600, 115_200),
            *(128_000, 230_400, 256_000, 460_800, 921_600),
        ),
        baud=115_200,
        address_max=99,
        capabilities=Harvard.capabilities,
    ),
    "alaris": DialectKind(
        name="alaris",
        make=_alaris,
        bauds=(38_400,),  # the one speed that drivers of this pump use
        baud=38_400,
        address_max=0,
        options={"lease_s": "[6-9]|[1-5][0-9]|60"},  # its own time-out: no source, above 5 s
        capabilities=Alaris.capabilities,
    ),
    "fresenius": DialectKind(
        name="fresenius",
        make=_fresenius,
        bauds=(19_200,),  # the one speed, 7E1, that the driver of this pump uses
        baud=19_200,
        bytesize=7,
        parity="E",
        address=MODULES[0],
        address_max=MODULES[1],
        options={"set_argument": "|".join(way.value for way in SetArgument)},
        capabilities=Fresenius.capabilities,
    ),
    "pumplink": DialectKind(
        name="pumplink",
        make=_pumplink,
        bauds=(9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600),
        baud=115_200,  # what microcontroller boards come with
        address_max=0,
        capabilities=Pumplink.capabilities,
    ),
}


def dialect_names() -> list[str]:
    """Every name a pump URL may begin with, built in or installed by others."""
    return sorted({*BUILT_IN, *_installed()})


def dialect_kind(name: str) -> DialectKind:
    """The dialect of that name.  Raises `ConfigurationError`, which says which there are."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    entry = _installed().get(name)
    if entry is None:
        raise ConfigurationError(
            f"dialect {name!r} does not exist; there are {', '.join(dialect_names())}"
        )
    try:
        kind = entry.load().host
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"dialect {name!r} ({entry.value}) could not be loaded: {error}"
        ) from error
    if not isinstance(kind, DialectKind):
        raise ConfigurationError(f"dialect {name!r} ({entry.value}) offers no DialectKind as host")
    return kind


def parse_pump_url(text: str) -> PumpUrl:
    """The pump that ``text`` names.  Raises `ConfigurationError` naming option, value and limit."""
    if len(text) > _URL_MAX or not text.isprintable():
        raise ConfigurationError(f"pump URL {text[:60]!r}: not printable, or too long")
    name, colon, rest = text.partition(":")
    simulated = name == "sim"
    place, mark, query = rest.partition("?")
    if not colon or not place:
        raise ConfigurationError(f"pump URL {text!r} is not {_FORM} or sim:DIALECT")
    kind = dialect_kind(place if simulated else name)
    options = _options(query, text) if mark else {}
    own = _own_options(kind, options, text)
    baud = _number(options.get("baud"), "baud", kind.baud)
    if baud not in kind.bauds:
        allowed = ", ".join(map(str, kind.bauds))
        raise ConfigurationError(f"pump URL {text!r}: baud {baud} is not one of {allowed}")
    address = _number(options.get("address"), "address", kind.address)
    if address > kind.address_max:
        raise ConfigurationError(
            f"pump URL {text!r}: address {address} is above {kind.address_max}"
        )
    if address < kind.address:
        raise ConfigurationError(f"pump URL {text!r}: address {address} is below {kind.address}")
    return PumpUrl(
        dialect=kind.name,
        port="" if simulated else place,
        simulated=simulated,
        baud=baud,
        address=address,
        bytesize=kind.bytesize,
        parity=kind.parity,
        stopbits=kind.stopbits,
        options=own,
    )


def make_dialect(url: PumpUrl, *, reply_within: Duration = REPLY_WITHIN) -> HostDialect:
    """A fresh dialect for the port of ``url``; ``reply_within`` is lengthened for a slow line.

    Raises `ConfigurationError`.
    """
    on_the_wire = Duration(_EXCHANGE_BITS * 1_000 // url.baud)
    floor = _SLOW_REPLY_WITHIN if url.baud < _SLOW_BAUD else Duration(0)
    return dialect_kind(url.dialect).make(url, max(reply_within, on_the_wire, floor))


def _own_options(
    kind: DialectKind, options: Mapping[str, str], text: str
) -> tuple[tuple[str, str], ...]:
    """What ``options`` say beyond speed and address, checked by the dialect's own patterns."""
    own = []
    for name, value in options.items():
        if name in _COMMON_OPTIONS:
            continue
        if name not in kind.options:
            there = ", ".join((*_COMMON_OPTIONS, *kind.options))
            raise ConfigurationError(
                f"pump URL {text!r}: option {name!r} does not exist; there are {there}"
            )
        if not re.fullmatch(kind.options[name], value, re.ASCII):
            raise ConfigurationError(
                f"pump URL {text!r}: {name} {value!r} is not {kind.options[name]}"
            )
        own.append((name, value))
    return tuple(own)


def _options(query: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"pump URL {text!r}: option {part!r} is not NAME=VALUE")
        if name in options:
            raise ConfigurationError(f"pump URL {text!r}: option {name!r} is there twice")
        options[name] = value
    return options


def _number(value: str | None, name: str, default: int) -> int:
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,7}", value, re.ASCII):
        raise ConfigurationError(f"pump URL: {name} {value!r} is not a whole number")
    return int(value)


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
