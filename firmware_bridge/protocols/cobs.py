"""Consistent Overhead Byte Stuffing: bytes without a zero, so that a zero can end a frame.

After S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on
Networking 7(2), 1999.  Not answerable for delimiters, lengths or checksums: those are `pumplink`'s.
"""

from __future__ import annotations

from firmware_bridge.errors import ProtocolError

_RUN_MAX = 254  # a code byte of 255 says "254 bytes, and no zero after them"


def encode(data: bytes) -> bytes:
    """``data`` with every zero taken out, at most one byte in 254 longer, plus one; no delimiter."""
    stuffed = bytearray()
    runs = data.split(b"\0")
    for run in runs:
        while len(run) >= _RUN_MAX:
            stuffed.append(_RUN_MAX + 1)
            stuffed += run[:_RUN_MAX]
            run = run[_RUN_MAX:]
        stuffed.append(len(run) + 1)
        stuffed += run
    if runs[-1] and len(runs[-1]) % _RUN_MAX == 0:
        del stuffed[-1]  # the end of a full last run is the end of the frame: no empty run after it
    return bytes(stuffed)


def decode(stuffed: bytes) -> bytes:
    """The data that `encode` made ``stuffed`` of.  Raises `ProtocolError` when nothing could have."""
    if not stuffed or 0 in stuffed:
        raise ProtocolError("not a stuffed frame: empty, or with a zero inside", raw=stuffed)
    data = bytearray()
    position, size = 0, len(stuffed)
    while True:
        code = stuffed[position]
        end = position + code
        if end > size:
            raise ProtocolError("a stuffed frame ends in the middle of a run", raw=stuffed)
        data += stuffed[position + 1 : end]
        if end == size:
            return bytes(data)
        if code <= _RUN_MAX:
            data.append(0)
        position = end
