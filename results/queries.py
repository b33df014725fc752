"""Validates the conditions of `Results.find`.

Conditions are data, and never become operators. Scalars are looked up in the database's index by
`resources.records.search`; objects, lists, long texts and groups are compared here after reading.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, get_args

from domain.errors import ParametersError, PermanentError
from domain.job.state import LedgerEntry
from domain.json_values import canonical_json, check_value
from domain.messages import shown
from domain.result.filter import Condition
from domain.result.search_entries import CODE, LONGEST_TEXT, PARAMETERS, SESSION, SUBJECT, is_searchable, search_time

State = Literal["done", "outdated", "failed", "superseded"]
When = str | date | datetime

STATES: tuple[State, ...] = get_args(State)
TAG = "analysis_tag"


@dataclass(frozen=True)
class ResultQuery:
    """Conditions on results; all of them must hold.

    Attributes
    ----------
    analysis : str
        Name of the analysis.
    states : frozenset of str
        Accepted states; see `STATES`.
    indexed : tuple of Condition
        Conditions for the database's index.
    parameters : dict
        Required parts of the parameters, including the tag.
    group : dict
        Required values of group fields.
    code_version : str or None
        Full code version, or the declared part before its ``+``.
    since, until : str or None
        Earliest end, and exclusive latest end, in the form of `search_time`.
    newest : bool
        Only the newest result of each job.
    """

    analysis: str
    states: frozenset[State]
    indexed: tuple[Condition, ...]
    parameters: dict[str, Any]
    group: dict[str, Any]
    code_version: str | None
    since: str | None
    until: str | None
    newest: bool

    @property
    def unindexed(self) -> dict[str, Any]:
        """Parameters that the index cannot answer."""
        return {name: value for name, value in self.parameters.items() if not is_searchable(value)}

    def fits_job(self, job: LedgerEntry) -> bool:
        """Return whether a failed job matches the conditions.

        Its time is the end of its last attempt; without one, it matches no condition on time.
        """
        ended = job.attempts[-1].ended if job.attempts else None
        ended_text = search_time(ended) if ended else ""
        return (
            (self.since is None or ended_text >= self.since)
            and (self.until is None or "" < ended_text < self.until)
            and self.code_version in {None, job.code_version, (job.code_version or "").partition("+")[0]}
            and has_parts(job.parameters, self.parameters)
            and (not self.group or any(has_group(source.group, self.group) for source in job.sources))
        )


def read_query(  # noqa: PLR0913  one for each condition
    analysis: str,
    *,
    subject: str | None,
    session: str | None,
    group: Mapping[str, Any] | None,
    tag: str | None,
    parameters: Mapping[str, Any] | None,
    code_version: str | None,
    since: When | None,
    until: When | None,
    state: State | Iterable[State],
    newest: bool,
) -> ResultQuery:
    """Validate the conditions of `Results.find`, which describes them.

    Raises
    ------
    ParametersError
        If a condition is invalid; the message has its name, the value and the expected form.
    """
    states = _states(state)
    check_name(analysis)
    if "failed" in states and (subject or session):
        msg = (
            "A job that failed has no result, so its subject and session are not known: leave `failed` out of state=, "
            "or ask by parameters=, tag=, group=, since= and until=."
        )
        raise ParametersError(msg)
    wanted = wanted_parameters(parameters, tag)
    check_value(dict(group or {}), path="group", plain_keys=False, error=ParametersError)
    texts = [(SUBJECT, subject), (SESSION, session), (CODE, code_version)]
    return ResultQuery(
        analysis=analysis,
        states=states,
        indexed=(
            *(Condition(name, "=", _text(name, text)) for name, text in texts if text is not None),
            *(Condition(f"{PARAMETERS}.{name}", "=", v) for name, v in wanted.items() if is_searchable(v)),
        ),
        parameters=wanted,
        group=dict(group or {}),
        code_version=code_version,
        since=None if since is None else search_time(moment(since, name="since")),
        until=None if until is None else search_time(moment(until, name="until", whole_day=True)),
        newest=newest,
    )


def wanted_parameters(parameters: Mapping[str, Any] | None, tag: str | None) -> dict[str, Any]:
    """Return the required parameters, including the tag.

    Raises
    ------
    ParametersError
        If a value cannot be a parameter.
    """
    wanted = dict(parameters or {}) | ({} if tag is None else {TAG: tag})
    check_value(wanted, path="parameters", plain_keys=False, error=ParametersError)
    return wanted


def check_name(analysis: object) -> None:
    """Raise if a value cannot be the name of an analysis."""
    if not isinstance(analysis, str):
        msg = f"analysis={shown(repr(analysis))}: expected the name of an analysis, such as 'unit_quality'."
        raise ParametersError(msg)
    check_value(analysis, path="analysis", plain_keys=False, error=ParametersError)


def moment(given: When, *, name: str, whole_day: bool = False) -> datetime:
    """Return a given time in UTC.

    Parameters
    ----------
    given : str, date or datetime
        Time, or text in ISO 8601; without a time zone it is UTC.
    name : str
        Name of the condition, for messages.
    whole_day : bool
        Whether a day without a time is its end; otherwise its start.

    Raises
    ------
    ParametersError
        If it is not a time.
    """
    try:
        found = _parsed(given)
        if not isinstance(found, datetime):
            found = datetime.combine(found, time()) + timedelta(days=1 if whole_day else 0)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        msg = f"{name}={shown(repr(given))} is not a time. Expected a date, a datetime, or a text such as 2026-01-31 or 2026-01-31T14:00+01:00."
        raise ParametersError(msg) from None


def has_parts(found: Any, wanted: Any) -> bool:
    """Return whether a value matches: objects match by a subset, other values must be equal."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(k in found and has_parts(found[k], v) for k, v in wanted.items())
    try:
        return canonical_json(found) == canonical_json(wanted)  # 1 and 1.0 are equal, 1 and True are not
    except PermanentError:  # a damaged record
        return False


def has_group(fields: Iterable[Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether the recorded fields of a group match; larger values are recorded as JSON texts."""
    found = {field.field: field.value for field in fields}
    return all(name in found and _same_value(found[name], value) for name, value in wanted.items())


def _same_value(found: Any, wanted: Any) -> bool:
    """Compare a recorded value of a group with a required one."""
    large = isinstance(wanted, Mapping | list | tuple)
    return has_parts(found, canonical_json(wanted).decode() if large else wanted)


def _states(state: State | Iterable[State]) -> frozenset[State]:
    """Return the requested states."""
    states = [state] if isinstance(state, str) else list(state)
    unknown = [one for one in states if one not in STATES]
    if unknown or not states:
        msg = f"state={shown(repr(state))}: expected one or several of {', '.join(STATES)}."
        raise ParametersError(msg)
    return frozenset(states)


def _text(name: str, text: object) -> str:
    """Return a valid text to search for."""
    if not isinstance(text, str) or not is_searchable(text):
        name = {CODE: "code_version"}.get(name, name)
        msg = f"{name}={shown(repr(text))} cannot be searched: expected a text of at most {LONGEST_TEXT} characters."
        raise ParametersError(msg)
    return text


def _parsed(given: When) -> date | datetime:
    """Parse a time; a text of ten characters is a day."""
    if isinstance(given, str):
        text = given.strip()
        return date.fromisoformat(text) if len(text) == len("2026-01-31") else datetime.fromisoformat(text)
    if isinstance(given, date):
        return given
    raise TypeError
