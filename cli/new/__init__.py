"""`analysis new`."""
