"""`analysis demo`."""
