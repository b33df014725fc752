"""MongoDB and S3 servers on this machine, where none is configured."""
