"""`analysis describe`."""
