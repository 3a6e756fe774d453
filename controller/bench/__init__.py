"""The arithmetic of the test bench: what a recording of collected fluid says about a pump."""
