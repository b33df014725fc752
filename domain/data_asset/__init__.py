"""A data asset of the lab: its name, its record, and queries for it."""
