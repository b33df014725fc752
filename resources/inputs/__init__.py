"""Input data: local files, S3 and http, all read only."""
