"""The command line: the composition root, and the only code that sees both controller and sim."""
