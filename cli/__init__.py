"""The `analysis` command."""
