"""The figure of a choice model: coefficients over lags, and choices and rewards over the trials."""

import io
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from analysis_assets.methods.foraging_trials import FloatArray, ForagingTrials

_REWARD, _CHOICE, _CHANCE, _AUTO_WATER = "#1f6f9f", "#e0a030", "0.65", "#7fc4c0"
_SMOOTHING = 15  # trials of the running mean: shorter than the blocks of the task, longer than a run of luck
_NAMES = {"reward": ("rewards", _REWARD, -0.12), "choice": ("choices", _CHOICE, 0.12)}


class Estimate(Protocol):
    """What is drawn of a coefficient."""

    regressor: str
    lag: int | None
    estimate: float
    ci_low: float
    ci_high: float


def draw_choice_model(sessions: Sequence[ForagingTrials], coefficients: Sequence[Any], *, title: str) -> bytes:
    """Draw the coefficients with their confidence intervals, and what the animal did.

    Parameters
    ----------
    sessions : sequence of ForagingTrials
        Drawn one after another.
    coefficients : sequence
        As in `Estimate`; without any, the figure holds its title only.
    title : str
        Written above the panels.

    Returns
    -------
    bytes
        A PNG image, a few tens of kilobytes; the same bytes for the same numbers.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second; Figure alone keeps no state between jobs

    figure = Figure(figsize=(9.6, 3.3), dpi=100, layout="constrained")
    if coefficients:
        figure.suptitle(title, fontsize=10, parse_math=False)  # a title may hold anybody's dollar signs
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        _draw_coefficients(left, coefficients)
        _draw_trials(right, sessions)
    else:
        figure.text(0.5, 0.5, title, ha="center", va="center", fontsize=12, color="0.3", parse_math=False)
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()


def _draw_coefficients(axes: Any, coefficients: Sequence[Estimate]) -> None:
    """Draw one line for each kind of history, and the bias at the left of the lags."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    axes.axhline(0, color="0.6", linewidth=0.8)
    bias = [c for c in coefficients if c.regressor == "bias"]
    _draw_estimates(axes, bias, [0.0], color="0.3", label="bias")
    for name, (label, color, shift) in _NAMES.items():
        found = [c for c in coefficients if c.regressor == name]
        _draw_estimates(axes, found, [(c.lag or 0) + shift for c in found], color=color, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.set(xlabel="lag (answered trials back; 0: bias)", ylabel="coefficient (log odds of right)")
    axes.set_title("pull of past rewards and choices", fontsize=9, color="0.3")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_estimates(axes: Any, found: Sequence[Estimate], at: Sequence[float], *, color: str, label: str) -> None:
    """Draw estimates with their confidence intervals, joined by a line."""
    estimates = np.array([c.estimate for c in found])
    ends = np.abs(np.array([[c.ci_low for c in found], [c.ci_high for c in found]]) - estimates)
    axes.errorbar(at, estimates, yerr=ends, color=color, label=label, marker="o", markersize=4, linewidth=1.3)


def _draw_trials(axes: Any, sessions: Sequence[ForagingTrials]) -> None:
    """Draw the smoothed choice, the reward that the right side had to offer, and rewards and auto water as ticks."""
    ends = np.cumsum([session.n_answered for session in sessions])
    labels: tuple[str | None, str | None] = ("right's share of reward probability", "chose right")
    for session, end in zip(sessions, ends, strict=True):
        trials = np.arange(end - session.n_answered, end)
        if session.reward_probabilities is not None:
            axes.plot(trials, _share(session.reward_probabilities), color=_CHANCE, linewidth=1, label=labels[0])
        axes.plot(trials, _smooth(session.is_right), color=_CHOICE, linewidth=1.4, label=labels[1])
        labels = (None, None)  # the legend names each line once
        for side, height in ((1, 1.06), (0, -0.06)):
            earned = session.is_rewarded & (session.is_right == side)
            for is_there, color in ((session.auto_water[:, side], _AUTO_WATER), (earned, _REWARD)):
                axes.vlines(trials[is_there], height - 0.03, height + 0.03, color=color, linewidth=0.6)
    for boundary in ends[:-1]:
        axes.axvline(boundary - 0.5, color="0.3", linewidth=0.8, linestyle=":")
    axes.plot([], [], color=_REWARD, marker="|", linestyle="none", label="reward, right above and left below")
    if any(session.auto_water.any() for session in sessions):
        axes.plot([], [], color=_AUTO_WATER, marker="|", linestyle="none", label="auto water")
    axes.set(xlabel="answered trial", ylabel="share of right", ylim=(-0.12, 1.12), xlim=(-1, ends[-1]))
    axes.set_title(f"running mean over {_SMOOTHING} trials", fontsize=9, color="0.3")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    axes.spines[["top", "right"]].set_visible(False)


def _share(probabilities: FloatArray) -> FloatArray:
    """Return the right side's share of both probabilities; a half where nothing could be had."""
    total = probabilities.sum(axis=1)
    share: FloatArray = np.where(total > 0, probabilities[:, 1] / np.where(total > 0, total, 1), 0.5)
    return share


def _smooth(is_right: Any) -> FloatArray:
    """Return the running mean, over fewer trials at both ends."""
    if not len(is_right):
        return np.empty(0)
    window = np.ones(min(_SMOOTHING, len(is_right)))
    smooth: FloatArray = np.convolve(is_right, window, "same") / np.convolve(np.ones(len(is_right)), window, "same")
    return smooth
