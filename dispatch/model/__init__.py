"""A dispatch as data: options, groups, parameters, plan, report."""
