"""Every error that the platform raises on purpose.

The first split answers the only question that a caller must ask: *would the same call succeed later?*

::

    PlatformError
    ├── PermanentError              somebody has to change something first; never retried
    │   ├── SettingsError           a setting is missing, malformed or retired
    │   ├── AnalysisFileError       a file in analysis_assets/ does not define an analysis
    │   ├── JobFileError            a job file cannot be understood
    │   ├── ParametersError         parameters do not fit the analysis
    │   ├── InputError              an input is refused, missing or ambiguous
    │   ├── OutputError             what an analysis returned or wrote cannot be published
    │   ├── JobChangedError         a stored job no longer has the key that it was stored under
    │   ├── DispatchError           options or query of a dispatch cannot be used
    │   └── UnknownJobError         nothing is known under this key
    └── TransientError              the same call may succeed later; retried with a limit
        ├── ServerUnavailableError  MongoDB or S3 did not answer
        ├── InputChangedError       an input changed while it was being read
        ├── CodeChangedError        the analysis file changed while a run was using it
        └── RunsActiveError         partitions must not change while runs are active

A message says what was tried, on which object, what was found, what was expected, and what to do next.
"""

import errno


class PlatformError(Exception):
    """Base of every error that the platform raises on purpose."""


class PermanentError(PlatformError):
    """A retry cannot help: somebody has to change something first."""


class SettingsError(PermanentError):
    """A setting is missing, malformed or retired."""


class AnalysisFileError(PermanentError):
    """A file in ``analysis_assets/`` does not define an analysis."""


class JobFileError(PermanentError):
    """A job file cannot be understood."""


class ParametersError(PermanentError):
    """Parameters do not fit the analysis."""


class InputError(PermanentError):
    """An input is refused, missing or ambiguous."""


class OutputError(PermanentError):
    """What an analysis returned or wrote cannot be published."""


class JobChangedError(PermanentError):
    """A stored job no longer has the key that it was stored under."""


class DispatchError(PermanentError):
    """Options or query of a dispatch cannot be used."""


class UnknownJobError(PermanentError):
    """Nothing is known under this key."""


class TransientError(PlatformError):
    """The same call may succeed later."""


class ServerUnavailableError(TransientError):
    """MongoDB or S3 did not answer."""


class InputChangedError(TransientError):
    """An input changed while it was being read."""


class CodeChangedError(TransientError):
    """The analysis file changed while a run was using it."""


class RunsActiveError(TransientError):
    """Partitions must not change while runs are active."""


def is_full_disk(error: BaseException) -> bool:
    """Tell whether a disk or a quota is used up: space comes back, so the same work may succeed later."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
