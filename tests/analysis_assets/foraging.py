"""Foraging sessions for tests: written, changed, and analysed from local files."""

import h5py
import pyarrow.parquet as pq

from analysis_assets.foraging_choice_model import Parameters, run
from analysis_assets.methods.foraging_trials import ForagingTrials
from domain.analysis import AnalysisJob
from examples.sessions import write_session

TRIALS = "intervals/trials"


def analyse(folder, *paths, **parameters):
    """Run the analysis on local files; give its outputs and its table."""
    folder.mkdir(exist_ok=True)
    job = AnalysisJob(tuple(f"s3://bucket/{path.name}" for path in paths), (), lambda: tuple(paths))
    outputs = run(job, Parameters(**parameters), folder)
    return outputs, pq.read_table(folder / "coefficients.parquet").to_pylist()


def truth_of(animal):
    return [animal.bias, *animal.reward_coefficients, *animal.choice_coefficients]


def trials_of(behavior):
    """Make trials of behavior without a file."""
    columns = {
        "animal_response": behavior.response.astype(float),
        "rewarded_historyL": (behavior.is_rewarded & (behavior.response == 0)).astype(float),
        "rewarded_historyR": (behavior.is_rewarded & (behavior.response == 1)).astype(float),
    }
    return ForagingTrials.from_columns(columns)


def written(path, behavior, **options):
    """Write a session without units; give its path."""
    name = "behavior_700001_2024-05-01_10-00-00"
    return write_session(path, seed=0, n_units=0, behavior=behavior, **{"session_name": name, **options}).path


def changed(source, path, change):
    """Copy a session and change its trials with h5py; give the path of the copy."""
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "a") as file:
        change(file[TRIALS])
    return path
