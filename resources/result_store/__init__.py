"""The files of results, in S3."""
