"""The exceptions of the platform.

The first level of the tree says whether the same call may succeed later.

::

    PlatformError
    ├── PermanentError              something has to be changed first; not retried
    │   ├── SettingsError           a setting is missing, malformed or retired
    │   ├── AnalysisFileError       a file in analysis_assets/ does not define an analysis
    │   ├── JobFileError            a job file is invalid
    │   ├── ParametersError         parameters do not fit the analysis
    │   ├── InputError              an input is rejected, missing or ambiguous
    │   ├── OutputError             what an analysis returned or wrote cannot be published
    │   ├── JobChangedError         a stored job no longer has the key that it was stored under
    │   ├── NewerFormatError        a stored document was written by a newer version
    │   ├── DispatchError           options or query of a dispatch are invalid
    │   └── UnknownJobError         there is no job, result or analysis of this name
    └── TransientError              the same call may succeed later; retried with a limit
        ├── ServerUnavailableError  MongoDB or S3 did not answer
        ├── InputChangedError       an input changed while it was being read
        ├── ResultChangedError      a record changed while another one was to take its place
        ├── CodeChangedError        the analysis file changed while a run was using it
        └── RunsActiveError         partitions must not change while runs are active

A message says what was tried, on which object, what was found, what was expected, and what to do next. The object is
also an attribute, so that a caller does not have to parse the message.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class PlatformError(Exception):
    """Base class of the platform's exceptions.

    The attributes are kept when the error is pickled, so they also arrive from a worker process.

    Parameters
    ----------
    **args : object
        Message with the object, the cause and the next step; no secrets.
    analysis : str, optional
        Name of the analysis that the error is about.
    job_key : str, optional
        Key of the job; None if the error is about several jobs.
    location : str, optional
        URL or path of the input, result or file; without user, password and query.

    Attributes
    ----------
    analysis, job_key, location : str or None
        As above; None if unknown.

    Examples
    --------
    >>> try:
    ...     raise InputError("Nothing is at s3://lab/a.nwb.", analysis="spikes", location="s3://lab/a.nwb")
    ... except PlatformError as error:
    ...     print(error.analysis, error.location, error.job_key)
    spikes s3://lab/a.nwb None
    """

    # On the class too: an analysis may define a subclass whose __init__ does not call this one.
    analysis: str | None = None
    job_key: str | None = None
    location: str | None = None

    def __init__(
        self, *args: object, analysis: str | None = None, job_key: str | None = None, location: str | None = None
    ) -> None:
        super().__init__(*args)
        self.analysis, self.job_key, self.location = analysis, job_key, location


class PermanentError(PlatformError):
    """A retry would fail again: something has to be changed first."""


class SettingsError(PermanentError):
    """A setting is missing, malformed or retired."""


class AnalysisFileError(PermanentError):
    """A file in ``analysis_assets/`` does not define an analysis."""


class JobFileError(PermanentError):
    """A job file is invalid."""


class ParametersError(PermanentError):
    """Parameters do not fit the analysis."""


class InputError(PermanentError):
    """An input is rejected, missing or ambiguous."""


class OutputError(PermanentError):
    """What an analysis returned or wrote cannot be published."""


class JobChangedError(PermanentError):
    """A stored job no longer has the key that it was stored under."""


class NewerFormatError(PermanentError):
    """A stored document has a format that only a newer version of the platform reads."""


class DispatchError(PermanentError):
    """Options or query of a dispatch are invalid."""


class UnknownJobError(PermanentError):
    """There is no job, result or analysis of this name."""


class TransientError(PlatformError):
    """The same call may succeed later."""


class ServerUnavailableError(TransientError):
    """MongoDB or S3 did not answer."""


class InputChangedError(TransientError):
    """An input changed while it was being read."""


class ResultChangedError(TransientError):
    """A record changed while another one was to take its place."""


class CodeChangedError(TransientError):
    """The analysis file changed while a run was using it."""


class RunsActiveError(TransientError):
    """Partitions must not change while runs are active."""


@contextmanager
def error_context(
    *, analysis: str | None = None, job_key: str | None = None, location: str | None = None
) -> Iterator[None]:
    """Set the attributes of errors that are raised inside, if the code that raises does not know the values.

    Parameters
    ----------
    analysis, job_key, location : str, optional
        As in `PlatformError`. An attribute that is already set keeps its value.
    """
    try:
        yield
    except PlatformError as error:
        error.analysis = analysis if error.analysis is None else error.analysis
        error.job_key = job_key if error.job_key is None else error.job_key
        error.location = location if error.location is None else error.location
        raise


def is_full_disk(error: BaseException) -> bool:
    """Return whether a disk or quota is full. This is transient, because space may become free."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
