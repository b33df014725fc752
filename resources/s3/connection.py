"""The connection to S3 as Dagster configures it: dagster-aws's resource with the clients of this platform.

Keys are never part of Dagster's configuration, which every user of the UI can read; boto3 finds them in its usual places.
"""

from typing import TYPE_CHECKING, Any

from dagster_aws.s3 import S3Resource
from pydantic import Field
from s3transfer.manager import TransferManager

from domain.errors import SettingsError
from resources.embedded.embedded import ServerAddresses
from resources.s3.server import S3Server

if TYPE_CHECKING:  # stubs are only installed for development
    from mypy_boto3_s3 import S3Client


class S3Connection(S3Resource):
    """A lazy connection to one S3 server; see `server`.

    See https://docs.dagster.io/integrations/libraries/aws for the resource that this one extends.
    """

    embedded_home: str | None = Field(
        default=None, description="Folder of the embedded servers; if set, their S3 is used and no other."
    )

    read_timeout_s: float = Field(default=60.0, description="Seconds that an answer may take.")

    @property
    def server(self) -> S3Server:
        """The configured server.

        Raises
        ------
        SettingsError
            If keys are part of the configuration, which every user of the UI can read.
        """
        if self.aws_access_key_id or self.aws_secret_access_key or self.aws_session_token:
            msg = "S3 keys must not be part of Dagster's configuration: set AWS_ACCESS_KEY_ID and its like instead."
            raise SettingsError(msg)
        return S3Server(
            endpoint_url=self.endpoint_url,
            region_name=self.region_name,
            profile_name=self.profile_name,
            unsigned=self.use_unsigned_session,
            verify=self.verify,
            use_ssl=True if self.use_ssl is None else self.use_ssl,
            max_attempts=self.max_attempts,
            read_timeout_s=self.read_timeout_s,
            embedded_home=self.embedded_home,
        )

    @property
    def client(self) -> "S3Client":
        """The process's only client for the server; see `S3Server.client`."""
        return self.server.client

    @property
    def transfers(self) -> TransferManager:
        """The process's only transfers of large files; see `S3Server.transfers`."""
        return self.server.transfers

    @property
    def embedded(self) -> ServerAddresses | None:
        """Addresses of the embedded servers; see `S3Server.embedded`."""
        return self.server.embedded

    @property
    def server_name(self) -> str:
        """Name of the server for messages."""
        return self.server.name

    def get_client(self) -> Any:
        """Return `client`, for users of the parent class."""
        return self.client

    def get_object_to_set_on_execution_context(self) -> Any:
        """Return the resource itself, because a client is built at the first request only."""
        return self

    def ensure_bucket(self, bucket: str) -> None:
        """Create a bucket on the embedded server; see `S3Server.ensure_bucket`."""
        self.server.ensure_bucket(bucket)
