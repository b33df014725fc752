"""`analysis dispatch`."""
