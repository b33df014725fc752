"""The sensor of job files: reads the inbox, stores jobs, requests runs, repairs."""
