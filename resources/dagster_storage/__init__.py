"""Extensions of Dagster's own storage: the only package that imports Dagster's private API for it."""
