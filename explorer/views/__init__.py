"""Renders the page, its table, plots and panels."""
