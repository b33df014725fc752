"""Input data: local files, S3 and http, read-only."""
