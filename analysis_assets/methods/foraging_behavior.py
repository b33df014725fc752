"""What an animal did in foraging sessions, without a model: trials, sides, rewards and efficiency."""

from collections.abc import Sequence
from typing import Any

from analysis_assets.methods.foraging_efficiency import efficiencies
from analysis_assets.methods.foraging_trials import ForagingTrials


def behavior_of(sessions: Sequence[ForagingTrials]) -> dict[str, Any]:
    """Count trials, and measure side, reward and efficiency.

    Parameters
    ----------
    sessions : sequence of ForagingTrials
        Taken together; may be empty.

    Returns
    -------
    dict of str to int, float or None
        Counts over all trials. ``right_share`` is over the answered trials; ``reward_rate`` and the efficiencies are over
        those without auto water, in which nothing can be earned. A fraction is None where there is no such trial.
    """
    names = ("n_trials", "n_auto_water", "n_answered")
    n_trials, n_auto_water, n_answered = (sum(getattr(s, name) for s in sessions) for name in names)
    n_right, n_free = (sum(int(getattr(s, name).sum()) for s in sessions) for name in ("is_right", "is_free"))
    n_earned = sum(int(s.is_rewarded[s.is_free].sum()) for s in sessions)
    without_baiting, with_baiting = efficiencies(sessions)
    return {
        "n_trials": n_trials,
        "n_answered": n_answered,
        "n_ignored": n_trials - n_answered,
        "n_auto_water": n_auto_water,
        "n_auto_water_answered": n_answered - n_free,
        "right_share": n_right / n_answered if n_answered else None,
        "reward_rate": n_earned / n_free if n_free else None,
        "efficiency_without_baiting": without_baiting,
        "efficiency_with_baiting": with_baiting,
    }
