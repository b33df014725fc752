"""What the explorer shows: columns, filters, facts, read from results."""
