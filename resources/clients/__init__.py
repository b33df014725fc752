"""Code that clients of several outside systems share: retries, and advice for failed TLS connections."""
