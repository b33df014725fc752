"""Alerts over a real HTTP server and a real mail server; hooks that fail never fail what reports to them."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller

from cli.dagster_processes import free_port
from domain.alert import Alert
from resources.alerts import Alerts

ALERT = Alert(
    title="Run 1 failed\r\nBcc: x@y",
    text="10 of 12 jobs failed.",
    analysis="demo",
    link="http://ui/runs/1",
    facts=(("failed", "10"),),
)
SECRET = "hook-secret-7f3a"  # noqa: S105  planted to be looked for


@contextmanager
def webhook(status=200):
    """Serve a webhook that answers with a status."""
    posted = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}", posted
        server.shutdown()


@contextmanager
def mail_server():
    """Serve SMTP and keep what comes."""
    received = []

    class Handler:
        async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  as aiosmtpd calls it
            received.append(envelope)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port(0))
    controller.start()
    try:
        yield controller.port, received
    finally:
        controller.stop()


def test_a_webhook_gets_a_text_for_people_and_fields_for_scripts():
    with webhook() as (url, posted):
        assert Alerts(webhook_url=url).send(ALERT) == {"ALERT_WEBHOOK_URL": None}
    ((path, body),) = posted
    assert path == f"/{SECRET}"
    assert body["text"].endswith("10 of 12 jobs failed.\nfailed: 10\nhttp://ui/runs/1")
    assert (body["severity"], body["analysis"], body["facts"]) == ("error", "demo", {"failed": "10"})


def test_an_e_mail_goes_to_everybody_and_its_subject_is_one_line():
    with mail_server() as (port, received):
        alerts = Alerts(email_to="a@lab.org, b@lab.org", smtp_url=f"smtp://127.0.0.1:{port}")
        assert alerts.send(ALERT) == {"ALERT_EMAIL_TO": None}
    (envelope,) = received
    assert envelope.rcpt_tos == ["a@lab.org", "b@lab.org"]
    text = envelope.content.decode()
    assert "Subject: [error] Run 1 failed  Bcc: x@y" in text
    assert "\nBcc:" not in text.partition("\r\n\r\n")[0]
    assert "10 of 12 jobs failed." in text


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_is_tried_twice_and_named_without_its_address(status, caplog):
    with webhook(status) as (url, posted):
        answers = Alerts(webhook_url=url).send(ALERT)
    assert answers == {"ALERT_WEBHOOK_URL": f"it answered {status}"}
    assert len(posted) == 2
    assert "did not reach ALERT_WEBHOOK_URL" in caplog.text
    assert SECRET not in caplog.text


def test_hooks_that_are_away_raise_nothing_and_show_no_secret(caplog):
    port = free_port(0)
    alerts = Alerts(
        webhook_url=f"http://127.0.0.1:{port}/{SECRET}",
        email_to="a@lab.org",
        smtp_url=f"smtp://ann:{SECRET}@127.0.0.1:{port}",
        time_limit_s=0.5,
    )
    answers = alerts.send(ALERT)
    assert answers == {"ALERT_WEBHOOK_URL": "ConnectionError", "ALERT_EMAIL_TO": "ConnectionRefusedError"}
    assert SECRET not in caplog.text


def test_a_password_is_never_sent_over_a_connection_that_is_not_encrypted(caplog):
    with mail_server() as (port, received):
        alerts = Alerts(email_to="a@lab.org", smtp_url=f"smtp://ann:{SECRET}@127.0.0.1:{port}")
        assert alerts.send(ALERT) == {"ALERT_EMAIL_TO": "SMTPNotSupportedError"}
    assert received == []
    assert SECRET not in caplog.text


def test_without_a_hook_nothing_is_sent():
    assert Alerts().send(ALERT) == {}
