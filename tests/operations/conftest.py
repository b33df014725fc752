"""As for commands: an open platform over the servers that all tests share."""

from tests.cli.conftest import platform, settings

__all__ = ["platform", "settings"]
