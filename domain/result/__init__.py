"""A result: its provenance, its record, and how it is found."""
