"""Ways for bytes to reach a pump: serial port, socket, reader thread, memory."""
