"""The Dagster resource of inputs; `InputReader` reads them in worker processes."""

import dagster as dg
from pydantic import Field

from resources.inputs.reader import InputReader
from resources.s3.connection import S3Connection


class Inputs(dg.ConfigurableResource["Inputs"]):
    """Configuration of the sources of inputs.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    s3: dg.ResourceDependency[S3Connection]
    input_endpoint_url: str | None = Field(default=None, description="INPUT_S3_ENDPOINT_URL.")
    input_unsigned: bool = Field(default=False, description="INPUT_S3_UNSIGNED: read without credentials.")

    @property
    def reader(self) -> InputReader:
        """The reader: plain data, which is copied to worker processes."""
        return InputReader(self.s3.server, self.input_endpoint_url, self.input_unsigned)
