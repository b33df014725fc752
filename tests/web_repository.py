"""A web address for the repository under test, which may be a copy without one: an audit notes such records."""

ADDRESS = "https://git.example.org/lab/analyses"


def with_web_address(monkeypatch):
    """Give the repository an address by git's own variables; processes that this one starts see it too."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.origin.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", ADDRESS)
