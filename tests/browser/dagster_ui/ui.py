"""Actions and contents of Dagster's UI, and the requests behind them."""

from playwright.sync_api import expect

from domain.job.state import JobState
from tests.waiting import wait_for

OVER = {JobState.DONE, JobState.FAILED}


def see(place, text, *, exact=False):
    """Wait until a text is seen; the UI also holds hidden copies of texts, to measure them."""
    expect(place.get_by_text(text, exact=exact).filter(visible=True).first).to_be_visible()


def seen(place, text):
    """Return whether a text is seen now."""
    return place.get_by_text(text).filter(visible=True).count() > 0


def click_until(button, condition):
    """Click until a condition holds: a dialog that is still loading selects nothing."""

    def clicked():
        """Click, and give the page a moment."""
        button.click()
        button.page.wait_for_timeout(1000)
        return condition()

    wait_for(clicked, "the click has no effect")


def open_partition(page, stage, name, key):
    """Open one partition of an asset."""
    page.goto(f"{stage.url}/assets/analysis/{name}?view=partitions&partition={key}")
    see(page, key)


def ended(stage, name, key):
    """Wait until a job has ended; gives its state."""
    stage.wait_for(lambda: (job := stage.job(name, key)) is not None and job.state in OVER, f"{name} did not end")
    return stage.job(name, key).state


def latest_run(stage, name, *, but=()):
    """Return the newest finished run that a person launched on an asset."""

    def found():
        runs = [r for r in stage.instance.get_runs(limit=20) if r.is_finished and r.run_id not in but]
        return next((r for r in runs if any(k.path[-1] == name for k in r.asset_selection or ())), None)

    return stage.wait_for(found, f"no run of {name} ended")
