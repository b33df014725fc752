"""All code that uses Dagster's private API (``dagster._…``): event log, batches of events, targets of checks.

Ruff's rule TID251 bans that API in the rest of the product, so that a new version of Dagster is checked against one
package.
"""
