"""The lab's metadata database: records of data assets, read-only."""
