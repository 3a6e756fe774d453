"""Bytes and their meaning: quantities, messages, wire protocols, the last gate, and the only way to a port."""
