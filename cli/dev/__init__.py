"""`analysis dev`."""
