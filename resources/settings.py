"""The settings of the platform, read from the environment once, and validated.

Credentials are not settings: boto3 reads ``AWS_*`` itself. The
table of all settings is in ``docs/settings.md``, a file to copy in ``.env.example``.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from dotenv import load_dotenv
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import SettingsError
from resources.environment import environment
from resources.setting_types import (
    CollectionName,
    DatabaseName,
    Duration,
    HookUrl,
    HttpUrl,
    MailAddresses,
    MongoUri,
    PostgresUrl,
    Runs,
    StartTimeout,
    YesNo,
)
from resources.setting_values import bucket_and_prefix, refuse, without_secrets

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The folder of ``definitions.py``; relative paths in settings start here."""

EXPLORER_HERE = "http://127.0.0.1:3001"
"""Default URL of the explorer."""

RETIRED: Mapping[str, str] = {
    "DOCDB_HOST": "DOCDB_URI takes the whole address (mongodb://user:password@host:27017/?tls=true)",
    "DOCDB_VERSION": "records are read in every version of the schema",
    "CODEOCEAN_DOMAIN": "the platform runs without Code Ocean",
    "CODEOCEAN_API_TOKEN": "the platform runs without Code Ocean",
    "CODEOCEAN_EMAIL": "the platform runs without Code Ocean",
    "CO_COMPUTATION_ID": "the Dagster run id is recorded instead",
    "CO_CAPSULE_ID": "the code's digest and commit are recorded instead",
    "CO_PIPELINE_ID": "the Dagster run id is recorded instead",
}
"""Retired settings of the earlier wrapper, and their replacements."""

_SHORTEST_PASSWORD = 12

_log = logging.getLogger(__name__)


def _assets_database(found: dict[str, Any]) -> str:
    """Return the default database of assets: that of the records, or the name of the lab's metadata database."""
    elsewhere = found.get("assets_uri") is not None or found.get("assets_api_url") is not None
    return "metadata_index" if elsewhere else str(found.get("docdb_database", ""))


class Settings(BaseSettings):
    """The validated settings; each field has the name of its variable in lower case.

    An empty variable counts as not set, except ``ANALYSIS_BUCKET``: an empty bucket is nearly always a variable that
    failed to expand, so it is rejected.

    Raises
    ------
    SettingsError
        If a value is invalid. The message has the setting, the value and the expected form.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(frozen=True, extra="ignore")

    analysis_env_file: Path | None = Field(
        default=None, description="File of settings that is read instead of the project's `.env`."
    )
    analysis_home: Path = Field(
        default=PROJECT_ROOT / ".analysis", description="Folder for the embedded servers, their logs and the inbox."
    )
    analysis_scratch: Path = Field(
        default_factory=lambda data: data["analysis_home"] / "work",
        description="Local folder for the files of running jobs.",
    )
    job_inbox: str = Field(
        default_factory=lambda data: str(data["analysis_home"] / "inbox"),
        description="Where job files arrive: a folder, or s3://bucket/prefix.",
    )
    job_inbox_queue_url: HttpUrl | None = Field(
        default=None, description="Queue (Amazon SQS) that receives S3's notifications of new files in the inbox."
    )
    job_inbox_listing_s: Duration = Field(
        default=3600.0, description="With a queue: interval between full listings of the inbox (s)."
    )
    analysis_bucket: str = Field(
        default="analysis-results", description="Where results are stored: `bucket` or `bucket/prefix`."
    )
    docdb_uri: MongoUri | None = Field(default=None, description="Address of MongoDB or Amazon DocumentDB.")
    docdb_database: DatabaseName = Field(default="analysis", description="Database that holds records and ledger.")
    docdb_collection: CollectionName = Field(default="results", description="Collection of the records.")
    assets_uri: MongoUri | None = Field(
        default=None, description="Address of the MongoDB with the metadata records of data assets."
    )
    assets_api_url: HttpUrl | None = Field(
        default=None, description="Address of the REST API of a metadata database without direct access."
    )
    assets_database: DatabaseName = Field(
        default_factory=_assets_database, description="Database of the assets' metadata records."
    )
    assets_collection: CollectionName = Field(
        default="data_assets", description="Collection of the assets' metadata records."
    )
    dispatches: Path = Field(
        default_factory=lambda data: data["analysis_home"] / "dispatches",
        description="Folder of saved dispatches, each with its own schedule.",
    )
    alert_webhook_url: HookUrl | None = Field(default=None, description="Webhook that alerts are posted to.")
    alert_email_to: MailAddresses | None = Field(default=None, description="Addresses that alerts are sent to.")
    alert_email_from: MailAddresses = Field(default="analysis-assets@localhost", description="Sender of alerts.")
    smtp_url: HookUrl | None = Field(default=None, description="Mail server, with user and password.")
    dagster_ui_url: HttpUrl = Field(default="http://127.0.0.1:3000", description="Where Dagster's UI is, for links.")
    explorer_url: HttpUrl | None = Field(default=None, description="Where people open the explorer, for links.")
    explorer_user: str | None = Field(default=None, description="User name for the explorer.")
    explorer_password: SecretStr | None = Field(default=None, description="Password for the explorer.")
    analysis_image: str | None = Field(
        default_factory=lambda _: environment().get("DAGSTER_CURRENT_IMAGE") or None,
        description="Container image that runs are executed in, for the record.",
    )
    record_patch: YesNo = Field(
        default=True, description="Store the uncommitted changes of the working tree with results."
    )
    dry_run: YesNo = Field(default=False, description="Sensors only report what they would do.")
    input_s3_endpoint_url: HttpUrl | None = Field(default=None, description="S3 server of the inputs, when not AWS.")
    input_s3_unsigned: YesNo = Field(default=False, description="Read inputs without credentials (public buckets).")
    aws_endpoint_url: HttpUrl | None = Field(default=None, description="S3 server of results and inbox, when not AWS.")
    aws_endpoint_url_s3: HttpUrl | None = Field(default=None, description="As AWS_ENDPOINT_URL, for S3 alone; it wins.")
    results_browser_url: HttpUrl | None = Field(
        default=None, description="Where a person can browse results over http."
    )
    dagster_home: Path = Field(
        default_factory=lambda data: data["analysis_home"] / "dagster",
        description="Dagster's storage and configuration.",
    )
    dagster_postgres_url: PostgresUrl | None = Field(
        default=None, description="Address of a PostgreSQL database for Dagster's storage, instead of SQLite."
    )

    run_concurrency: Runs = Field(default=2, description="Maximum number of concurrent runs.")
    run_start_timeout_s: StartTimeout = Field(
        default=120,
        description="Time from the launch of a run to its start, after which it has failed (s); 0: no limit.",
    )

    @property
    def s3_endpoint_url(self) -> str | None:
        """The S3 server in the environment, as boto3 selects it; None means AWS."""
        return self.aws_endpoint_url_s3 or self.aws_endpoint_url

    @property
    def listing_s(self) -> float:
        """Interval of full listings of the inbox (s); 0 for every tick, if no queue reports new files."""
        return self.job_inbox_listing_s if self.job_inbox_queue_url else 0.0

    @property
    def embedded_mongo(self) -> bool:
        """Whether records are in the embedded MongoDB, because ``DOCDB_URI`` is not set."""
        return self.docdb_uri is None

    @property
    def embedded_s3(self) -> bool:
        """Whether results are in the embedded S3, because neither ``ANALYSIS_BUCKET`` nor an endpoint is set."""
        return "analysis_bucket" not in self.model_fields_set and self.s3_endpoint_url is None

    @property
    def explorer_address(self) -> str | None:
        """URL of links to the explorer: the configured one, or this machine if all servers are embedded."""
        here = EXPLORER_HERE if self.embedded_mongo and self.embedded_s3 else None
        return self.explorer_url or here

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_not_a_value(cls, values: Any) -> Any:
        """Remove empty variables, and white space around values."""
        stripped = {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}
        return {k: v for k, v in stripped.items() if v not in ("", None) or k == "analysis_bucket"}

    @field_validator("analysis_home", "analysis_scratch", "dagster_home", "dispatches", mode="after")
    @classmethod
    def _home_is_absolute(cls, value: Path) -> Path:
        """Resolve a relative folder from the project, not from the working folder."""
        return (PROJECT_ROOT / value.expanduser()).resolve()

    @field_validator("analysis_env_file", mode="after")
    @classmethod
    def _env_file_is_there(cls, value: Path | None) -> Path | None:
        """Raise if the file does not exist: without its settings, the embedded servers would be used."""
        if value is None:
            return None
        path = PROJECT_ROOT / value.expanduser()
        if not path.exists():
            refuse("ANALYSIS_ENV_FILE", repr(str(path)), "the path of a file, or /dev/null to read none")
        return path

    @field_validator("job_inbox", mode="after")
    @classmethod
    def _inbox_is_a_folder_or_bucket(cls, value: str) -> str:
        """Accept a folder, which is made absolute, or an S3 URL."""
        if value.startswith("s3://"):
            return f"s3://{bucket_and_prefix('JOB_INBOX', value, value.removeprefix('s3://'))}"
        if "://" in value:
            refuse("JOB_INBOX", repr(without_secrets(value)), "a folder, or s3://bucket/prefix")
        return str((PROJECT_ROOT / Path(value).expanduser()).resolve())

    @field_validator("analysis_bucket", mode="after")
    @classmethod
    def _bucket_is_a_name(cls, value: str) -> str:
        """Raise for values that would store results in an unintended location."""
        return bucket_and_prefix("ANALYSIS_BUCKET", value, value)

    @model_validator(mode="after")
    def _a_queue_needs_a_bucket(self) -> "Settings":
        """Raise for a queue with a folder, because only S3 reports files to it."""
        if self.job_inbox_queue_url is not None and not self.job_inbox.startswith("s3://"):
            found = f"{self.job_inbox_queue_url!r}, while JOB_INBOX is the folder {self.job_inbox!r}"
            refuse("JOB_INBOX_QUEUE_URL", found, "JOB_INBOX as s3://bucket/prefix, or no queue")
        return self

    @model_validator(mode="after")
    def _a_server_needs_a_bucket(self) -> "Settings":
        """Raise for an S3 server without a bucket: results would go to an unintended bucket."""
        if self.s3_endpoint_url is not None and "analysis_bucket" not in self.model_fields_set:
            good = "`bucket` or `bucket/prefix` on that server; or unset AWS_ENDPOINT_URL to use the embedded one"
            refuse("ANALYSIS_BUCKET", f"nothing, while AWS_ENDPOINT_URL is {self.s3_endpoint_url!r}", good)
        return self

    @model_validator(mode="after")
    def _mail_needs_a_server(self) -> "Settings":
        """Raise for addresses without a server, and a server without addresses: no alert would be sent."""
        if (self.alert_email_to is None) != (self.smtp_url is None):
            missing, given = ("SMTP_URL", "ALERT_EMAIL_TO") if self.smtp_url is None else ("ALERT_EMAIL_TO", "SMTP_URL")
            refuse(missing, f"nothing, while {given} is set", "both, or neither")
        return self

    @property
    def has_alert_hooks(self) -> bool:
        """Whether a webhook or an e-mail address for alerts is configured."""
        return self.alert_webhook_url is not None or self.alert_email_to is not None

    @model_validator(mode="after")
    def _a_log_in_is_whole(self) -> "Settings":
        """Raise for an incomplete login and for a weak password, without showing it."""
        if (self.explorer_user is None) != (self.explorer_password is None):
            missing = "EXPLORER_USER" if self.explorer_user is None else "EXPLORER_PASSWORD"
            refuse(missing, "nothing, while the other half of the log-in is set", "both, or neither")
        if self.explorer_password is not None and len(self.explorer_password.get_secret_value()) < _SHORTEST_PASSWORD:
            refuse("EXPLORER_PASSWORD", "a shorter one (not shown)", f"at least {_SHORTEST_PASSWORD} characters")
        if self.explorer_user is not None and ":" in self.explorer_user:
            refuse("EXPLORER_USER", repr(self.explorer_user), "a name without a colon, which browsers cannot send")
        return self

    @model_validator(mode="after")
    def _assets_have_one_place(self) -> "Settings":
        """Raise for two sources of metadata records: it would be unclear which one is used."""
        if self.assets_uri is not None and self.assets_api_url is not None:
            refuse("ASSETS_API_URL", "ASSETS_URI beside it", "one of the two: the database itself, or its REST API")
        return self


def load_settings(*, env_file: Path | None = None) -> Settings:
    """Return the settings from the environment and a file.

    Variables in the environment take precedence over the file. The values of the file are added to the environment, so
    that boto3 and Dagster use them too.

    Parameters
    ----------
    env_file : Path, optional
        The file to read; it need not exist. By default the value of ``ANALYSIS_ENV_FILE``, otherwise the project's
        ``.env``.

    Returns
    -------
    Settings
        The validated settings.

    Raises
    ------
    SettingsError
        If a value is invalid, or ``DOCDB_HOST`` is set and its replacement ``DOCDB_URI`` is not.
    """
    named = environment().get("ANALYSIS_ENV_FILE", "").strip() or ".env"
    load_dotenv(env_file or PROJECT_ROOT / Path(named).expanduser(), override=False)
    _report_retired(environment())
    return Settings()


def _report_retired(variables: Mapping[str, str]) -> None:
    """Warn about retired settings, with their replacements."""
    for name, successor in RETIRED.items():
        if not variables.get(name):
            continue
        if name == "DOCDB_HOST" and not variables.get("DOCDB_URI"):
            msg = f"The setting DOCDB_HOST is no longer read, and DOCDB_URI is not set: {successor}."
            raise SettingsError(msg)
        _log.warning("The setting %s is no longer read: %s. Remove it.", name, successor)
