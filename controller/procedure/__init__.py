"""The procedure: states, events and effects, and the pure functions that decide between them."""
