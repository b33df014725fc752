"""`analysis audit` and `analysis clean`."""
