"""One run: its jobs, their claims, and the publication of their results."""
