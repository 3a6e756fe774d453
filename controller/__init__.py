"""What to do and when: the procedure, its limits, alarms, the session log, telemetry and the command line."""
