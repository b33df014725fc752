"""The inbox of job files: a folder or an S3 prefix, its queue, and notes on its files."""
