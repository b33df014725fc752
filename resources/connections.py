"""All resources for given settings, for ``definitions.py`` and for the commands."""

from dataclasses import dataclass, fields
from typing import Any

import dagster as dg
from pydantic import SecretStr

from resources.alerts import Alerts
from resources.data_assets.records import MongoAssetRecords
from resources.data_assets.records_rest import RestAssetRecords
from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.inbox.queue import InboxQueue
from resources.inputs.resource import Inputs
from resources.ledger.ledger import LEASE_S, Ledger
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from resources.result_store.catalog_files import CatalogFiles
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.settings import Settings


@dataclass(frozen=True)
class ClientLimits:
    """Time limits of the clients.

    Attributes
    ----------
    lease_s : float
        Duration of a lease (s); see `Ledger`.
    s3_read_timeout_s : float
        Read timeout of S3 requests (s).
    """

    lease_s: float = LEASE_S
    s3_read_timeout_s: float = 60.0


@dataclass(frozen=True)
class Connections:
    """All resources, by their resource keys in Dagster."""

    job_inbox: JobInbox
    inbox_queue: InboxQueue
    inbox_notes: InboxNotes
    ledger: Ledger
    record_store: RecordStore
    results_store: ResultsStore
    catalog_files: CatalogFiles
    inputs: Inputs
    asset_records: MongoAssetRecords | RestAssetRecords
    alerts: Alerts

    def as_dict(self) -> dict[str, Any]:
        """Return the resources by resource key."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def connect(settings: Settings, *, for_dagster: bool = False, limits: ClientLimits = ClientLimits()) -> Connections:
    """Return all resources; connections are opened on first use.

    Parameters
    ----------
    settings : Settings
        Addresses of the servers.
    for_dagster : bool
        Pass the variable of a URL that may contain a password instead of its value, because Dagster shows
        the configuration of resources in its UI.
    limits : ClientLimits
        Time limits of the clients.
    """
    home = str(settings.analysis_home)
    mongo = MongoConnection(
        uri=_uri("DOCDB_URI", settings.docdb_uri, for_dagster=for_dagster),
        database=settings.docdb_database,
        embedded_home=home if settings.embedded_mongo else None,
    )
    s3 = S3Connection(
        endpoint_url=settings.s3_endpoint_url,
        embedded_home=home if settings.embedded_s3 else None,
        read_timeout_s=limits.s3_read_timeout_s,
    )
    name = settings.docdb_collection
    return Connections(
        job_inbox=JobInbox(root=settings.job_inbox, s3=s3),
        inbox_queue=InboxQueue(url=settings.job_inbox_queue_url),
        inbox_notes=InboxNotes(mongo=mongo, records_name=name),
        ledger=Ledger(mongo=mongo, records_name=name, lease_s=limits.lease_s),
        record_store=RecordStore(mongo=mongo, name=name),
        results_store=ResultsStore(
            s3=s3,
            root=settings.analysis_bucket,
            browser_url=settings.results_browser_url,
            input_endpoint_url=settings.input_s3_endpoint_url,
            explorer_url=settings.explorer_address,
        ),
        catalog_files=CatalogFiles(s3=s3, root=settings.analysis_bucket, browser_url=settings.results_browser_url),
        inputs=Inputs(
            s3=s3, input_endpoint_url=settings.input_s3_endpoint_url, input_unsigned=settings.input_s3_unsigned
        ),
        asset_records=_asset_records(settings, for_dagster=for_dagster),
        alerts=Alerts(
            webhook_url=_uri("ALERT_WEBHOOK_URL", settings.alert_webhook_url, for_dagster=for_dagster),
            email_to=settings.alert_email_to,
            email_from=settings.alert_email_from,
            smtp_url=_uri("SMTP_URL", settings.smtp_url, for_dagster=for_dagster),
        ),
    )


def _asset_records(settings: Settings, *, for_dagster: bool) -> MongoAssetRecords | RestAssetRecords:
    """Return the source of metadata records: a REST API, or a separate or the same database."""
    database, name = settings.assets_database, settings.assets_collection
    if settings.assets_api_url is not None:
        return RestAssetRecords(url=settings.assets_api_url, database=database, name=name)
    if settings.assets_uri is None:
        uri = _uri("DOCDB_URI", settings.docdb_uri, for_dagster=for_dagster)
        home = str(settings.analysis_home) if settings.embedded_mongo else None
        return MongoAssetRecords(mongo=MongoConnection(uri=uri, database=database, embedded_home=home), name=name)
    uri = _uri("ASSETS_URI", settings.assets_uri, for_dagster=for_dagster)
    return MongoAssetRecords(mongo=MongoConnection(uri=uri, database=database, setting="ASSETS_URI"), name=name)


def _uri(name: str, value: SecretStr | None, *, for_dagster: bool) -> Any:
    """Return a URL that may contain a password, or its variable."""
    if value is None:
        return None
    return dg.EnvVar(name) if for_dagster else value.get_secret_value()
