"""RFC 2217, server side: telnet with the options of a serial port, as bytes in and bytes out.

Answerable for taking a client's bytes apart, for answering every negotiation and every sub-negotiation
(a client that waits for an acknowledgement must get it, also for the masks), and for escaping what goes
the other way.  The speed, parity and stop bits that a client sets are kept and told, and change nothing:
what a wrong speed does to bytes is a fault of the line.  Pure; not answerable for sockets.
"""

from __future__ import annotations

from collections.abc import Mapping

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
"""Telnet commands (RFC 854)."""
BINARY, ECHO, SUPPRESS_GO_AHEAD, COM_PORT = 0, 1, 3, 44
"""Options (RFC 856, 857, 858, 2217)."""
_OFFERED = frozenset({BINARY, ECHO, SUPPRESS_GO_AHEAD, COM_PORT})

SIGNATURE, BAUD, DATA_SIZE, PARITY, STOP_SIZE, CONTROL = range(6)
LINE_MASK, MODEM_MASK, PURGE = 10, 11, 12
"""Commands of the option, client to server (RFC 2217, section 3); the answer is 100 more."""
_ANSWER = 100
_ASKS = 0
"""The value that asks for a setting instead of making it."""
_CONTROL_ASKS: Mapping[int, int] = {0: 1, 4: 5, 7: 8, 10: 11, 13: 14}
"""What asks for flow control, break, DTR, RTS or inbound flow, and what each stands at: none, off."""

SUB_BYTES_MAX = 256
"""Of a sub-negotiation; a longer one is noise."""

_IDLE, _COMMAND, _OPTION, _SUB, _SUB_COMMAND = range(5)


class Rfc2217:
    """One client's connection."""

    def __init__(self, *, signature: str = "infusor", baud: int = 9_600) -> None:
        self.settings = {BAUD: baud, DATA_SIZE: 8, PARITY: 1, STOP_SIZE: 1}
        """Parity 1 is none (RFC 2217)."""
        self.ignored = 0
        self._signature = signature.encode("ascii")
        self._state = _IDLE
        self._verb = 0
        self._sub = bytearray()
        self._agreed: set[tuple[int, int]] = set()
        self._answers = bytearray()

    def greeting(self) -> bytes:
        """What the server offers by itself when a client comes."""
        return b"".join(self._say(verb, option) for verb, option in _GREETING)

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What is meant for the pump, and what is to be answered to the client."""
        if self._state == _IDLE and IAC not in data:
            return data, b""
        plain = bytearray()
        for byte in data:
            self._byte(byte, plain)
        answers = bytes(self._answers)
        self._answers.clear()
        return bytes(plain), answers

    def escape(self, data: bytes) -> bytes:
        """What the pump says, as the client gets it."""
        return data.replace(b"\xff", b"\xff\xff")

    # --- byte by byte -----------------------------------------------------------------------------

    def _byte(self, byte: int, plain: bytearray) -> None:
        state, self._state = self._state, _IDLE
        if state == _IDLE:
            if byte == IAC:
                self._state = _COMMAND
            else:
                plain.append(byte)
        elif state == _COMMAND:
            self._command(byte, plain)
        elif state == _OPTION:
            self._negotiate(self._verb, byte)
        else:
            self._in_sub(state, byte)

    def _command(self, byte: int, plain: bytearray) -> None:
        if byte == IAC:
            plain.append(IAC)
        elif byte in (DO, DONT, WILL, WONT):
            self._verb, self._state = byte, _OPTION
        elif byte == SB:
            self._sub.clear()
            self._state = _SUB

    def _in_sub(self, state: int, byte: int) -> None:
        self._state = _SUB
        if state == _SUB and byte == IAC:
            self._state = _SUB_COMMAND
        elif state == _SUB or byte == IAC:
            self._sub.append(byte)
            if len(self._sub) > SUB_BYTES_MAX:
                self.ignored += 1
                self._state = _IDLE
        else:
            self._state = _IDLE
            if byte == SE:
                self._sub_negotiated(bytes(self._sub))

    # --- what is agreed ---------------------------------------------------------------------------

    def _negotiate(self, verb: int, option: int) -> None:
        """Answer only what changes something, or two ends would answer each other for ever."""
        if verb in (DONT, WONT):
            was = (DO if verb == DONT else WILL, option)
            if was in self._agreed:
                self._agreed.discard(was)
                self._answers += bytes((IAC, WONT if verb == DONT else DONT, option))
            return
        if (verb, option) in self._agreed:
            return
        if option in _OFFERED:
            self._answers += self._say(WILL if verb == DO else DO, option)
        else:
            self._answers += bytes((IAC, WONT if verb == DO else DONT, option))

    def _say(self, verb: int, option: int) -> bytes:
        """Offer or accept; the client's matching word then needs no answer."""
        self._agreed.add((DO if verb == WILL else WILL, option))
        return bytes((IAC, verb, option))

    def _sub_negotiated(self, sub: bytes) -> None:
        if len(sub) < 2 or sub[0] != COM_PORT:
            self.ignored += 1
            return
        command, value = sub[1], sub[2:]
        answer = self._setting(command, value) if command in self.settings else value
        if command == SIGNATURE:
            answer = value or self._signature
        elif command == CONTROL and len(value) == 1:
            answer = bytes((_CONTROL_ASKS.get(value[0], value[0]),))
        body = bytes((COM_PORT, command + _ANSWER & 0xFF)) + answer
        self._answers += bytes((IAC, SB)) + self.escape(body) + bytes((IAC, SE))

    def _setting(self, command: int, value: bytes) -> bytes:
        """Take a setting, or tell it where 0 asks for it."""
        width = 4 if command == BAUD else 1
        asked = int.from_bytes(value, "big") if len(value) == width else _ASKS
        if asked != _ASKS:
            self.settings[command] = asked
        return self.settings[command].to_bytes(width, "big")


_GREETING = (
    (WILL, ECHO),
    (WILL, SUPPRESS_GO_AHEAD),
    (WILL, BINARY),
    (DO, BINARY),
    (DO, SUPPRESS_GO_AHEAD),
    (DO, COM_PORT),
)
