"""A job: its file, identity, state, and the batches that runs take."""
