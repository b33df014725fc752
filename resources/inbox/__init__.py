"""The inbox of job files: a folder or an S3 prefix, its queue, and what is known of its files."""
