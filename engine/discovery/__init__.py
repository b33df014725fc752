"""Finds analyses and the version of their code."""
