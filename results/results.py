"""Reading results in Python and notebooks: `Results` finds them, and opens their files and figures.

``docs/python.md`` is the guide.
"""

import warnings
import weakref
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from domain.errors import UnknownJobError
from domain.job.state import JobState
from domain.messages import shown
from domain.result.rows import FAILED, OUTDATED
from resources.connections import connect
from resources.embedded.embedded import serving
from resources.records.reader import OWN
from resources.records.search import left_out
from resources.result_store.catalog_tables import catalog_facts, read_catalog
from resources.settings import Settings, load_settings
from results.queries import ResultQuery, State, When, read_query, wanted_parameters
from results.refs import ResultRef, find_ref, records_at, refs_of
from results.result import FailedJob, Result
from results.result_list import ResultList, ended_of, opened, sorted_items
from results.source import source_of
from results.wrapper_records import wrapper_records


class Results:
    """All stored results; read-only.

    Use it directly (``results = Results()``) or as a context manager (``with Results() as results:``), which closes it.
    Where no server is configured, it uses the embedded servers of ``ANALYSIS_HOME``. If they do not run, it starts
    them; they run until it is closed or Python ends.

    Parameters
    ----------
    settings : Settings, optional
        Servers to read from; by default those of the environment and of ``.env``.

    Raises
    ------
    SettingsError
        If a setting is invalid.
    ServerUnavailableError
        If a server does not start or answer.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        chosen = settings or load_settings()
        with ExitStack() as stack:
            if chosen.embedded_mongo or chosen.embedded_s3:
                stack.enter_context(serving(chosen.analysis_home))
            self._connections = connect(chosen)
            if chosen.embedded_s3:
                self._connections.results_store.ensure_bucket()
            self._source = source_of(self._connections, chosen)
            # The servers run while any result may still be read, at most until Python ends.
            self._close = weakref.finalize(self._source, stack.pop_all().close)
        self._current: dict[str, tuple[str, str | None]] = {}
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the embedded servers that were started for this object. Can be called again."""
        self._close()

    def analyses(self) -> list[str]:
        """Return the names of the analyses that have results."""
        return self._source.records.analyses()

    def find(  # noqa: PLR0913  one for each condition
        self,
        analysis: str,
        *,
        subject: str | None = None,
        session: str | None = None,
        group: Mapping[str, Any] | None = None,
        tag: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        code_version: str | None = None,
        since: When | None = None,
        until: When | None = None,
        state: State | Iterable[State] = ("done", "outdated"),
        newest: bool = False,
        current_code_version: str | None = None,
    ) -> ResultList:
        """Return the results that match all conditions, newest first.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        subject, session : str, optional
            Full name of a subject or session; a result with several matches each of them.
        group : mapping, optional
            Fields that grouped jobs were grouped by, such as ``{"subject.subject_id": "700001"}``.
        tag : str, optional
            Value of the parameter ``analysis_tag``.
        parameters : mapping, optional
            A subset of the parameters, such as ``{"method": "hill"}``. ``1`` and ``1.0`` are equal, ``1`` and ``"1"``
            are not. A nested object also matches by a subset; lists must be equal.
        code_version : str, optional
            A full code version, or the declared part before its ``+``.
        since, until : str, date or datetime, optional
            When the result ended: at ``since`` or later, and before ``until``. A day without a time is its start in
            ``since`` and its end in ``until``. Times without a time zone are UTC.
        state : str or iterable of str
            ``done``: from the current code version. ``outdated``: from an older one. ``superseded``: replaced or
            invalidated. ``failed``: jobs whose latest execution failed, as `FailedJob`.
        newest : bool
            Only the newest result of each job (the same inputs and parameters) among those that match the other
            conditions.
        current_code_version : str, optional
            The current code version of the analysis; by default that of its results table. Without either, there is a
            warning and every result is ``done``.

        Returns
        -------
        ResultList
            A sequence of `Result`; `ResultList.to_pandas` and `ResultList.to_polars` give a data frame.

        Raises
        ------
        ParametersError
            If a condition is invalid.
        UnknownJobError
            If the analysis has no jobs and no results.

        Examples
        --------
        >>> with Results() as results:
        ...     found = results.find("rates", subject="700001", parameters={"bin_s": 0.1}, newest=True)
        ...     frame = found.to_pandas()
        >>> frame[["state", "outputs.mean_rate_hz"]].values.tolist()
        [['done', 12.5]]
        """
        query = read_query(
            analysis,
            subject=subject,
            session=session,
            group=group,
            tag=tag,
            parameters=parameters,
            code_version=code_version,
            since=since,
            until=until,
            state=state,
            newest=newest,
        )
        self._check_known(analysis)
        refs = refs_of(self._source.records, query, current=self._current_code(query, current_code_version))
        if not refs:
            self._warn_of_unknown_parameters(query)
        failed = self._failed(query) if FAILED in query.states else []
        if newest:
            failed, refs = _newest(failed, refs)
        return ResultList(self._source, sorted_items(refs, failed))

    def count(self, analysis: str, **conditions: Any) -> int:
        """Return the number of results that match all conditions, which are those of `find`."""
        return len(self.find(analysis, **conditions))

    def get(self, key: str, *, analysis: str | None = None) -> Result:
        """Return one result.

        Parameters
        ----------
        key : str
            A result id or a job key, or at least its first six digits. A job key returns the newest result of the job.
            The id of a superseded result is ``<result id>/<attempt>``.
        analysis : str, optional
            Only results of this analysis: jobs of several analyses may have the same key.

        Raises
        ------
        UnknownJobError
            If there is no such result, it cannot be read, or the key is ambiguous.
        """
        ref = find_ref(self._source.records, key, analysis=analysis)
        ref = ref.judged_by(self._catalogued_code(ref.analysis))
        result = opened(self._source, ref, dict(records_at(self._source.records, [ref])).get(ref))
        if result is None:
            msg = f"The record of result {ref.result_id} cannot be read: see `analysis audit`."
            raise UnknownJobError(msg)
        return result

    def wrapper_records(
        self, *, tag: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the records that the earlier wrapper wrote into the same collection, the latest first.

        Parameters
        ----------
        tag : str, optional
            Value of the parameter ``analysis_tag``.
        parameters : mapping, optional
            A subset of the parameters, as in `find`.

        Returns
        -------
        list of dict
            Whole records as stored; ``location`` is the URL of the files. They are not results of this platform, and
            only this method returns them.

        Raises
        ------
        ParametersError
            If a condition is invalid.
        """
        return wrapper_records(self._source.records, wanted_parameters(parameters, tag))

    def _failed(self, query: ResultQuery) -> list[FailedJob]:
        """Return the failed jobs that match a query."""
        ledger, name = self._source.ledger, query.analysis
        jobs = ledger.jobs.get_many(name, ledger.jobs.keys_in(name, JobState.FAILED)).values()
        return [FailedJob(job) for job in jobs if job.state is JobState.FAILED and query.fits_job(job)]

    def _current_code(self, query: ResultQuery, given: str | None) -> str | None:
        """Return the current code version of an analysis; warn if it is needed and unknown."""
        current = given or self._catalogued_code(query.analysis)
        if current is None and query.states & {"done", OUTDATED}:
            self._warn_once(
                f"The current code of `{shown(query.analysis)}` is unknown, because it has no results table yet: every result "
                "counts as done, none as outdated. Materialize the asset `catalog` of the analysis, or pass current_code_version=."
            )
        return current

    def _catalogued_code(self, analysis: str) -> str | None:
        """Return the current code version in the results table, which is read again when it has changed."""
        files = self._connections.catalog_files
        etag = files.etag(analysis)
        if etag is None:
            return None
        if self._current.get(analysis, ("", None))[0] != etag:
            stored = read_catalog(files, analysis)
            code = catalog_facts(stored.table).get("code_version") if stored else None
            self._current[analysis] = (etag, code if isinstance(code, str) else None)
        return self._current[analysis][1]

    def _check_known(self, analysis: str) -> None:
        """Raise for an unknown analysis, and warn about results that cannot be searched."""
        records = self._source.records
        if records.count({f"{OWN}.analysis": analysis}, limit=1) == 0:
            known = self.analyses()
            if analysis not in known and not any(self._source.ledger.jobs.counts(analysis).values()):
                msg = f"Nothing is known of an analysis `{shown(str(analysis))}`. There are: {', '.join(known) or 'none'}."
                raise UnknownJobError(msg)
        if note := left_out(records, analysis):
            self._warn_once(note)

    def _warn_of_unknown_parameters(self, query: ResultQuery) -> None:
        """Warn about unknown parameters, if the newest result does not have them."""
        newest = self._source.records.newest(
            query.analysis, limit=1, fields=["processing.data_processes.code.parameters"]
        ).to_list()
        try:
            there = newest[0]["processing"]["data_processes"][0]["code"]["parameters"] or {}
        except (LookupError, TypeError):
            return
        if unknown := [name for name in query.parameters if name not in there]:
            missing = ", ".join(f"`{shown(name)}`" for name in unknown)
            msg = f"The newest result of `{query.analysis}` has no parameter {missing}. There are: {', '.join(there)}."
            warnings.warn(msg, stacklevel=3)

    def _warn_once(self, message: str) -> None:
        """Warn the caller of `find`, once for each message."""
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, stacklevel=4)


def _newest(failed: Iterable[FailedJob], refs: Iterable[ResultRef]) -> tuple[list[FailedJob], list[ResultRef]]:
    """Keep the newest item of each job: a result, or the failure."""
    newest = {ref.job_key: ref.ended for ref in refs}
    lasting = [one for one in failed if one.job_key not in newest or ended_of(one) > newest[one.job_key]]
    lost = {one.job_key for one in lasting}
    return lasting, [ref for ref in refs if ref.job_key not in lost]
