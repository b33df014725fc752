"""Whether a job costs the same however many there are: a hundred to fifty thousand, in a figure."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.section import Figures, Options, Section, Target
from benchmarks.stage import bench_home, on_stage, storage

SIZES = (100, 1_000, 10_000, 50_000)
FIGURE = "growth.png"
_WANTED = 1.3


def measure(options: Options) -> Figures:
    """Process increasing numbers of jobs, each on new stores; the figures are stored after each."""
    found: list[dict[str, float]] = []
    with bench_home() as home:
        for size in sorted({options.size(size, least=10) for size in SIZES}):
            found.append(_at(home, size))
            options.keep({"sizes": found})
    return {"sizes": found}


def _at(home: Path, jobs: int) -> dict[str, float]:
    """Process one number of jobs; the time before the first run is a separate figure."""
    with storage(home, "sqlite") as settings, on_stage(settings, warm=("batched",)) as stage:
        wanted = stage.done("batched") + jobs
        begin = stage.drop("batched", jobs)
        stage.wait("batched", wanted)
        runs = stage.runs("batched")[1:]  # without the one that warmed up
    first, last = min(run.start_time for run in runs), max(run.end_time for run in runs)
    return {
        "jobs": jobs,
        "runs": len(runs),
        "start_s": first - begin,
        "wall_ms": 1000 * (last - begin) / jobs,
        "per_job_ms": 1000 * (last - first) / jobs,
        "in_runs_ms": 1000 * sum(run.end_time - run.start_time for run in runs) / jobs,
    }


def draw(figures: Figures, folder: Path) -> None:
    """Draw the cost of a job over their number."""
    found = figures["sizes"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, label in (("wall_ms", "with the start"), ("per_job_ms", "from the first run on")):
        axes.plot([size["jobs"] for size in found], [size[name] for size in found], marker="o", label=label)
    axes.set(xscale="log", ylim=(0, None), xlabel="jobs", ylabel="ms per job", title="Cost per job, batches, SQLite")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(folder / FIGURE, dpi=110)


def as_markdown(figures: Figures) -> str:
    """Write the sizes as a table."""
    rows = "\n".join(_row(size, figures["sizes"][0]) for size in figures["sizes"])
    return _TEXT.format(rows=rows, figure=FIGURE)


def _row(size: dict[str, float], first: dict[str, float]) -> str:
    """Write one number of jobs."""
    ratio = size["per_job_ms"] / first["per_job_ms"]
    cells = f"{size['jobs']:,} | {size['runs']} | {size['start_s']:.1f} | {size['wall_ms']:.1f}"
    return f"| {cells} | {size['per_job_ms']:.1f} | {ratio:.2f}x | {size['in_runs_ms']:.1f} |"


_TEXT = """
Jobs that write two small files, in batches, Dagster on SQLite; each number on stores that nothing was put into before. *Start* is from the
first job file written to the start of the first run; for few jobs it is most of the time.

| jobs | runs | start, s | ms per job, with the start | ms per job from the first run on | to the fewest | ms per job in runs, summed |
|---|---|---|---|---|---|---|
{rows}

![Cost per job over the number of jobs]({figure})
"""


def targets(figures: Figures) -> list[Target]:
    """Find where a job among more costs most in relation to one among fewer."""
    found = figures["sizes"]
    pairs = [(less, more) for i, less in enumerate(found) for more in found[i + 1 :]] or [(found[0], found[0])]
    less, more = max(pairs, key=lambda pair: pair[1]["per_job_ms"] / pair[0]["per_job_ms"])
    ratio = more["per_job_ms"] / less["per_job_ms"]
    what = f"growth: a job among {more['jobs']:,} to one among {less['jobs']:,}, the start apart"
    return [Target(what, "within 1.3x", f"{ratio:.2f}x ({more['per_job_ms']:.1f} ms)", ratio <= _WANTED)]


SECTION = Section("growth", "Growth", measure, as_markdown, targets, draw)
