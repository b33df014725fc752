"""Runs one job in a separate process."""
