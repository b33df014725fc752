"""`analysis describe` on the command line."""

from rich.table import Table

from cli.terminal import AnalysisName, AsJson, out, plain, print_json


def describe(analysis: AnalysisName, as_json: AsJson = False) -> None:
    """Describe an analysis: parameters, outputs, tables, units, checks."""
    from cli.describe.run import describe as run_describe

    found = run_describe(analysis)
    if as_json:
        print_json(found.as_dict())
        return
    out.print(f"[bold]{found.name}[/bold]  {found.code_version}  {plain(', '.join(found.owners))}", highlight=False)
    out.print(f"{plain(found.file)}\n\n{plain(found.text)}\n", highlight=False, soft_wrap=True)
    for title, facts in (("parameter", found.parameters), ("output", found.outputs)):
        table = Table(title, "type", "unit", "default", "bounds", "meaning")
        for fact in facts:
            table.add_row(*map(plain, (fact.name, fact.kind, fact.unit, fact.default, fact.bounds, fact.meaning)))
        out.print(table)
    for file, columns in found.tables.items():
        table = Table(f"column of {file}", "type", "unit", "meaning")
        for fact in columns:
            table.add_row(*map(plain, (fact.name, fact.kind, fact.unit, fact.meaning)))
        out.print(table)
    for check, text in found.checks.items():
        out.print(f"check {check}: {plain(text)}", highlight=False)
