"""`analysis try`."""
