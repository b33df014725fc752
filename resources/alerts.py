"""Sends alerts by webhook and e-mail. An unavailable hook neither fails nor delays the caller.

URLs may contain secrets, so they are never shown: messages name the setting instead.
"""

import logging
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import dagster as dg
import requests
from pydantic import Field

from domain.alert import Alert
from domain.retry import Backoff
from resources.clients.retrying import retrying

_SMTP_PORTS = {"smtp": 25, "smtps": 465}
_HOOK_FAILURES = (OSError, smtplib.SMTPException, ValueError)  # errors of requests are OSErrors
_log = logging.getLogger(__name__)


class Alerts(dg.ConfigurableResource["Alerts"]):
    """Sends alerts to all configured hooks."""

    webhook_url: str | None = Field(default=None, description="ALERT_WEBHOOK_URL.")
    email_to: str | None = Field(default=None, description="ALERT_EMAIL_TO: addresses, separated by commas.")
    email_from: str = Field(default="analysis-assets@localhost", description="ALERT_EMAIL_FROM.")
    smtp_url: str | None = Field(default=None, description="SMTP_URL: smtp(s)://user:password@host:port.")
    time_limit_s: float = Field(default=5.0, description="How long a hook may take to answer (s).")
    attempts: int = Field(default=2, ge=1, description="How often a hook is tried, the first time included.")

    def send(self, alert: Alert) -> dict[str, str | None]:
        """Send an alert to every hook.

        Parameters
        ----------
        alert : Alert
            Message to send; contains no secrets.

        Returns
        -------
        dict of str to str or None
            By setting of the hook: None if the alert was accepted, otherwise the error. Errors are logged and not
            raised, because a failed alert must not fail the caller.
        """
        hooks: dict[str, Callable[[Alert], None]] = {}
        if self.webhook_url:
            hooks["ALERT_WEBHOOK_URL"] = self._post
        if self.email_to and self.smtp_url:
            hooks["ALERT_EMAIL_TO"] = self._mail
        answers = {name: _tried(hook, alert, attempts=self.attempts) for name, hook in hooks.items()}
        for name, problem in answers.items():
            if problem is not None:
                _log.warning("The alert %r did not reach %s: %s.", alert.title, name, problem)
        return answers

    def _post(self, alert: Alert) -> None:
        """Post to the webhook: Slack, Mattermost and others show `text`; the other fields are for scripts."""
        body: dict[str, Any] = {"text": alert.body(), **alert.model_dump(mode="json", exclude={"text"})}
        body["details"], body["facts"] = alert.text, dict(alert.facts)
        answer = requests.post(str(self.webhook_url), json=body, timeout=self.time_limit_s, allow_redirects=False)
        if answer.status_code >= 300:  # noqa: PLR2004  a redirect would send the alert to another server
            msg = f"it answered {answer.status_code}"
            raise OSError(msg)

    def _mail(self, alert: Alert) -> None:
        """Send an e-mail; plain SMTP is encrypted if the server supports it, and always before a login."""
        parts = urlsplit(str(self.smtp_url))
        message = EmailMessage()
        message["Subject"] = f"[{alert.severity}] {alert.title}".replace("\r", " ").replace("\n", " ")[:200]
        message["From"], message["To"] = self.email_from, str(self.email_to)
        message.set_content(alert.body())
        host, port = str(parts.hostname), parts.port or _SMTP_PORTS[parts.scheme]
        context = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(host, port, timeout=self.time_limit_s, context=context)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=self.time_limit_s)
        ) as server:
            server.ehlo()
            if parts.scheme == "smtp" and (server.has_extn("starttls") or parts.username):
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)


def _tried(hook: Callable[[Alert], None], alert: Alert, *, attempts: int) -> str | None:
    """Call a hook with retries; return the error without URLs, or None."""
    calls = retrying(
        Backoff(first_s=0, attempts=attempts), is_transient=lambda error: isinstance(error, _HOOK_FAILURES)
    )
    try:
        calls(hook, alert)
    except _HOOK_FAILURES as error:
        plain = type(error) is OSError and error.errno is None
        return str(error) if plain else type(error).__name__
    return None
