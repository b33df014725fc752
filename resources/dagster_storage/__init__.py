"""Everything that needs Dagster's private API (``dagster._…``): its event log, events in batches, targets of checks.

Ruff's rule TID251 bans that API in the rest of the product, so that a new version of Dagster is checked against one package.
"""
