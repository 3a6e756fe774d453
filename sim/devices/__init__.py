"""Pumps as they look from the wire: one sans-I/O device per dialect, written from its protocol sheet."""
