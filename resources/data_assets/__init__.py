"""The metadata database of the lab: records of its data assets, read only."""
