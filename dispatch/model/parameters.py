"""Parameters in the options of a dispatch: fixed ones, values by hand, listed sets, and a sweep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dispatch.model.sweep import SweepMode, sweep_sets
from domain.analysis.given_values import parse_settings
from domain.analysis.parameter_files import ParameterFile, read_fixed_parameters
from domain.errors import DispatchError, JobFileError, ParametersError
from domain.json_values import check_value


@dataclass(frozen=True)
class GivenParameters:
    """The parsed parameters of the options.

    Attributes
    ----------
    file : ParameterFile
        Fixed parameters and listed sets.
    by_hand : dict
        Values of `set_values` by name.
    swept : list of dict
        Sets of the sweep; empty without one.
    """

    file: ParameterFile
    by_hand: dict[str, Any]
    swept: list[dict[str, Any]]


def given_parameters(parameters: str, *, set_values: Sequence[str], sweep: str, mode: SweepMode) -> GivenParameters:
    """Read the parameters of a dispatch.

    Parameters
    ----------
    parameters : str
        JSON in any form of ``analysis_parameters.json``, or nothing.
    set_values : sequence of str
        Texts ``name=value``; a value is JSON or plain text.
    sweep : str
        JSON text for `dispatch.model.sweep.sweep_sets`; may be empty.
    mode : SweepMode
        How the sweep is combined.

    Raises
    ------
    DispatchError
        If one of them is invalid.
    """
    try:
        text = parameters.strip()
        file = read_fixed_parameters(text, name="of the dispatch") if text else ParameterFile()
        by_hand = parse_settings(set_values)
    except (JobFileError, ParametersError) as error:
        raise DispatchError(str(error)) from None
    check_value(by_hand, path="set", plain_keys=False, error=DispatchError)
    return GivenParameters(file, by_hand, sweep_sets(sweep, mode=mode))
