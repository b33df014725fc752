"""The commands of the platform, run as a person runs them."""

import sys


def command(*words):
    """Return the command line of a command."""
    return [sys.executable, "-c", "from cli.main import main; main()", *words]
