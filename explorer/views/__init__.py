"""What the explorer draws: page, table, plots, panels."""
