"""The records of results, in MongoDB."""
