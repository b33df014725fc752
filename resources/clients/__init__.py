"""What the clients of several outside systems share: repeated calls, and what a failed TLS connection means."""
