"""The data of the explorer: tables, columns, filters, facts of results."""
