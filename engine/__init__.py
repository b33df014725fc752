"""From a partition to a published result: what runs analyses, and how Dagster sees them."""
