"""The ledger: the state of every job, in MongoDB."""
