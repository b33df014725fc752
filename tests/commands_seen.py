"""Records the commands that MongoDB receives.

A driver takes its listeners when a client is created, and the platform keeps one client for each address. So one
listener is registered before the first client, and passes events on to the current listeners.
"""

from contextlib import contextmanager

from pymongo import monitoring

_LISTENERS = {}
"""Who listens, and to which host."""


class _Exchange(monitoring.CommandListener):
    """Passes every event on to the listeners of its server."""

    def _pass(self, event, what):
        for listener, host in list(_LISTENERS.items()):
            if f"{event.connection_id[0]}:{event.connection_id[1]}" == host:
                getattr(listener, what)(event)

    def started(self, event):
        """Pass on a command."""
        self._pass(event, "started")

    def succeeded(self, event):
        """Pass on an answer."""
        self._pass(event, "succeeded")

    def failed(self, event):
        """Pass on an error."""
        self._pass(event, "failed")


monitoring.register(_Exchange())


def host_of(uri):
    """Return the host and port of an address."""
    return uri.partition("://")[2].partition("/")[0].rpartition("@")[2]


def by_another_name(uri):
    """Return another address of a local server, so that its commands are distinguished from those of others."""
    assert "directConnection=true" in uri, "the driver would go on with the name that the server has for itself"
    return uri.replace("127.0.0.1", "localhost")


@contextmanager
def listening(listener, uri):
    """Let a listener hear every command of this process to the host of an address."""
    _LISTENERS[listener] = host_of(uri)
    try:
        yield listener
    finally:
        del _LISTENERS[listener]
