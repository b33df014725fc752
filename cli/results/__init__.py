"""`analysis results` and `analysis archive`."""
