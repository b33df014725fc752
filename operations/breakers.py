"""Close circuit breakers, and send test alerts."""

from domain.alert import Alert
from domain.errors import SettingsError
from operations.platform import Platform
from resources.process import person


def resume(platform: Platform, name: str) -> bool:
    """Close the circuit breaker of an analysis; return whether it was open.

    Raises
    ------
    UnknownJobError
        If there is no analysis of this name.
    """
    platform.entry(name)
    return platform.connections.ledger.breakers.close(name, who=person(), reason="analysis resume")


def breaker_note(platform: Platform, name: str) -> str:
    """Return why an analysis's circuit breaker is open, and what to do; empty if it is closed."""
    found = platform.connections.ledger.breakers.get_open(name, code_version=platform.entry(name).code_version)
    if found is None:
        return ""
    probe = f" A few jobs are tried after {found.probe_at:%Y-%m-%d %H:%M} UTC." if found.probe_at else ""
    since = f"{found.since:%Y-%m-%d %H:%M}"
    return f"The circuit breaker is open since {since} UTC: {found.why}.{probe} Go on:  analysis resume {name}"


def send_test_alert(platform: Platform) -> dict[str, str | None]:
    """Send an alert to every hook; return the error of each hook by name, None if it accepted the alert.

    Raises
    ------
    SettingsError
        If no hook is configured.
    """
    answers = platform.connections.alerts.send(
        Alert(title="Test of the alerts", text="If you read this, alerts reach you.", severity="note")
    )
    if not answers:
        msg = "No hook for alerts is configured: set ALERT_WEBHOOK_URL, or ALERT_EMAIL_TO and SMTP_URL."
        raise SettingsError(msg)
    return answers
