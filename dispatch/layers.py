"""Parameters of a dispatch from the options, the inbox and a sweep, before the analysis validates them."""

from dispatch.model.options import DispatchOptions
from dispatch.model.plan import ParameterLayers
from dispatch.model.sweep import combined_sets
from domain.analysis.parameter_files import ParameterFile, read_fixed_parameters
from resources.inbox.job_inbox import JobInbox
from resources.inbox.names import PARAMETERS_FILE


def read_layers(name: str, options: DispatchOptions, inbox: JobInbox) -> ParameterLayers:
    """Return the parameters of all jobs of a dispatch.

    Sets in the options, listed or swept, replace the sets in the inbox's ``analysis_parameters.json``.
    Fixed parameters of the options take precedence over those of the inbox, and values given by hand over both.

    Parameters
    ----------
    name : str
        Name of the analysis.
    options : DispatchOptions
        `parameters`, `set_values`, `sweep`, `sweep_mode` and `group_parameters` are used.
    inbox : JobInbox
        Its ``analysis_parameters.json`` is read.

    Raises
    ------
    DispatchError
        If a text is invalid, or a parameter is given twice.
    JobFileError
        If the inbox's ``analysis_parameters.json`` cannot be read.
    """
    given = options.given_parameters()
    data = inbox.read_fixed_parameters(name)
    fixed = ParameterFile() if data is None else read_fixed_parameters(data, name=PARAMETERS_FILE)
    own = given.file.distributed or (() if given.swept else fixed.distributed)
    return ParameterLayers(
        inbox=fixed.fixed,
        given={**given.file.fixed, **given.by_hand},
        sets=combined_sets(own, given.swept),
        of_group=options.parameter_of_group_field(),
    )
