"""`analysis explore`."""
