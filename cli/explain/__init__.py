"""`analysis explain`."""
