"""One host-side codec and session per wire protocol; pure: bytes and ``now`` in, frames and meaning out."""
