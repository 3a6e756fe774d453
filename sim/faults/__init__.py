"""What can go wrong on a bench: the closed list of kinds, and how each is asked for."""
