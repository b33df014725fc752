"""S3: connections, uploads, errors and links."""
