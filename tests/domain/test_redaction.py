"""Secrets are blotted out of texts, and nothing else is."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.redaction import BLOT, redacted, redacted_value, secrets_of, spellings

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://user:pw@host/x", f"https://{BLOT}@host/x"),
        ("mongodb://u:p%40w@h1:1,h2:2/?x=1", f"mongodb://{BLOT}@h1:1,h2:2/?x=1"),
        ("s3:///user:pw@bucket/x", f"s3:///{BLOT}@bucket/x"),
        ("https://ghp_0123456789abcdefghij@github.com/x", f"https://{BLOT}@github.com/x"),
        ("GET /x?a=1&X-Amz-Signature=ab12&b=2", f"GET /x?a=1&X-Amz-Signature={BLOT}&b=2"),
        ("https://h/x?token=abc#access_token=def", f"https://h/x?token={BLOT}#access_token={BLOT}"),
    ],
)
def test_addresses_lose_what_lets_people_in(text, clean):
    assert redacted(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a@b:c/d.nwb",
        "file:///data/a:b@c.nwb",
        "mail me@example.org",
        "https://host:9000/x?page=2&key=units",
        "git@github.com:org/repo",
        "token = 5; signature = violin",
        "a?b:c@d",
        "12:30 @ rig 4 https://host/",
        "0123456789abcdef" * 4,
    ],
)
def test_other_text_stays_as_it_is(text):
    assert redacted(text) == text
    assert redacted_value({text: [text, 1, None, 2.5]}) == {text: [text, 1, None, 2.5]}


@given(WORDS, st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_gone_in_every_spelling(secret, before, after):
    known = spellings([secret])
    for text in (secret, quote(secret, safe=""), json.dumps(secret), repr(secret), repr({"A": secret})):
        assert redacted(f"{before}{text}{after}", secrets=known).count(secret) <= (before + after).count(secret)
    assert secret not in redacted(f" {secret} ", secrets=known).replace(BLOT, "")


def test_variables_are_secret_by_their_name_or_by_a_password_in_an_address():
    environment = {
        "AWS_SECRET_ACCESS_KEY": "/secret/access+key",
        "AWS_ACCESS_KEY_ID": "AKIA0123456789",
        "LAB_API_TOKEN": "a-lab-token",
        "DOCDB_URI": "mongodb://lab:p%40ssword99@host/",
        "SSH_PRIVATE_KEY": "-----BEGIN\nlongline1234\n",
    }
    found = secrets_of(environment.items())
    assert {"/secret/access+key", "AKIA0123456789", "a-lab-token", "p%40ssword99", "p@ssword99", "longline1234"} <= set(
        found
    )
    harmless = {
        "PATH": "/usr/bin",
        "TOKENIZERS_PARALLELISM": "false",
        "MAX_TOKENS": "1000000000",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
        "SHORT_TOKEN": "abc",
        "ANALYSIS_BUCKET": "lab-results",
        "HTTP_PROXY": "http://proxy:3128/",
    }
    assert secrets_of(harmless.items()) == ()
