"""Faults at every step. A package, so that the servers of its lab end with its last test."""
