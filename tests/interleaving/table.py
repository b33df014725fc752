"""What was tried, as a table: each scenario, its schedules and steps."""

from dataclasses import dataclass

from tests.interleaving.schedules import Schedule

_COLUMNS = ("actors that meet", "schedules", "left out early", "steps", "rules broken", "seconds")


@dataclass
class Row:
    """One scenario."""

    schedules: int = 0
    left: int = 0
    steps: int = 0
    broken: int = 0
    seconds: float = 0.0

    def cells(self) -> tuple[str, ...]:
        """Return its numbers as text."""
        return (*map(str, (self.schedules, self.left, self.steps, self.broken)), f"{self.seconds:.0f}")


class Tally:
    """Counts schedules by scenario."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def count(self, name: str, schedule: Schedule) -> None:
        """Count a schedule."""
        row = self.rows.setdefault(name, Row())
        row.schedules += schedule.complete
        row.left += not schedule.complete
        row.steps += len(schedule.moves)
        row.broken += bool(schedule.problems)

    def markdown(self) -> str:
        """Return the table."""
        lines = [f"| {' | '.join(_COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) - 1)}"]
        total = Row()
        for name, row in self.rows.items():
            lines.append(f"| {name} | {' | '.join(row.cells())} |")
            total.schedules, total.left = total.schedules + row.schedules, total.left + row.left
            total.steps, total.broken = total.steps + row.steps, total.broken + row.broken
            total.seconds += row.seconds
        lines.append(f"| **{len(self.rows)} scenarios** | {' | '.join(total.cells())} |")
        return "\n".join(lines)
