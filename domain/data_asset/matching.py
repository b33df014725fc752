"""Finds the metadata record of a job's input among the records of data assets."""

from collections.abc import Collection, Sequence

from domain.data_asset.record import AssetRecord
from domain.errors import InputError
from domain.messages import joined


def places_of(url: str) -> tuple[str, ...]:
    """Return the locations that the record of an input may have, nearest first and without a trailing slash.

    They are the URL itself and every folder above it, because an input may be one file of a data asset. The root of a
    bucket or file system is not one of them.

    Examples
    --------
    >>> places_of("s3://lab/asset/a.nwb")
    ('s3://lab/asset/a.nwb', 's3://lab/asset')
    """
    scheme, separator, rest = url.rstrip("/").partition("://")
    parts = rest.split("/")
    return tuple(f"{scheme}{separator}{'/'.join(parts[:length])}" for length in range(len(parts), 1, -1))


def record_of(
    url: str, records: Sequence[AssetRecord], *, ids: Collection[str], is_only_input: bool
) -> AssetRecord | None:
    """Return the record of an input: the one with the nearest location.

    Parameters
    ----------
    url : str
        URL of the input.
    records : sequence of AssetRecord
        Records to choose from.
    ids : collection of str
        Record ids that the job's requests name. They decide between records with one location, and replace the
        location if the job has one input and names one record.
    is_only_input : bool
        The job has no other input.

    Returns
    -------
    AssetRecord or None
        None if no record is that of the input.

    Raises
    ------
    InputError
        If several records have the nearest location.
    """
    for place in places_of(url):
        here = [record for record in records if record.location.rstrip("/") == place]
        named = [record for record in here if record.record_id in ids] or here
        if len(named) > 1:
            shown = joined(sorted(f"`{record.record_id}`" for record in named), most=5)
            msg = (
                f"{len(named)} metadata records have the location {place}: {shown}. Name one of them in `docdb_record_id` of "
                "the job file, or delete the others."
            )
            raise InputError(msg, location=url)
        if named:
            return named[0]
    named = [record for record in records if record.record_id in ids]
    return named[0] if is_only_input and len(named) == 1 else None
