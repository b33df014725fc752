"""From a partition to a published result: execution of analyses, and their Dagster assets."""
