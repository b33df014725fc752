"""What the suite counted, as a table: each fault, how often it was injected, and what it cost."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- made by make test-faults: begin -->", "<!-- made by make test-faults: end -->"
_COLUMNS = ("fault", "injected", "lost", "duplicated", "extra executions", "recovered alone", "seconds to recover")


@dataclass
class Row:
    """One kind of fault."""

    injected: int = 0
    lost: int = 0
    duplicated: int = 0
    extra: int = 0
    stages: int = 0
    alone: int = 0
    seconds: list[float] = field(default_factory=list)


class Tally:
    """Counts, in the order in which the kinds of faults are named first by their tests."""

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[int, str], Row] = defaultdict(Row)

    def count(self, order, fault, state, *, injected, seconds, by_hand):
        """Add what one stage came to."""
        row = self.rows[order, fault]
        row.injected += injected
        row.lost += state.lost
        row.duplicated += state.duplicated
        row.extra += state.extra
        row.stages += 1
        row.alone += not by_hand
        row.seconds.append(seconds)

    def markdown(self) -> str:
        """Return the table."""
        lines = [f"| {' | '.join(_COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) - 1)}"]
        for (_, fault), row in sorted(self.rows.items()):
            alone = f"{row.alone} of {row.stages}" if row.alone else "on request"
            cells = (fault, row.injected, row.lost, row.duplicated, row.extra, alone, f"{median(row.seconds):.1f}")
            lines.append(f"| {' | '.join(map(str, cells))} |")
        total = [
            sum(getattr(r, name) for r in self.rows.values()) for name in ("injected", "lost", "duplicated", "extra")
        ]
        alone, stages = (sum(getattr(r, name) for r in self.rows.values()) for name in ("alone", "stages"))
        lines.append(f"| **all** | {' | '.join(f'**{n}**' for n in total)} | **{alone} of {stages}** | |")
        return "\n".join(lines)


def with_table(page: str, table: str) -> str:
    """Return a page with a table between its marks."""
    if BEGIN not in page or END not in page:
        message = f"the page has no place for the table: {BEGIN} and {END}"
        raise ValueError(message)
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n\n{table}\n\n{END}", page, flags=re.DOTALL
    )


def write(path: Path, tally: Tally) -> None:
    """Put the table into a page."""
    path.write_text(with_table(path.read_text(encoding="utf-8"), tally.markdown()), encoding="utf-8")
