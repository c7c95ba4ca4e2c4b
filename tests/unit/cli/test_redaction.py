"""What looks like a person's value or a secret is not logged; ids, places, times and counts are."""

import base64
import logging
import random
import sys
import time
import uuid
from hashlib import sha256

import pytest

from habeas.cli.redaction import REDACTED, Redaction, redact
from habeas.domain.errors import InputError

HIDDEN = {
    "an e-mail address": ("no such mail: {}", "ann.archer+x@mail.example.com"),
    "an address in brackets": ("Ann <{}> asks", "ann@example.org"),
    "an address in JSON": ('{{"email": "{}"}}', "ann@example.org"),
    "an address with an umlaut": ("{} asks", "ännchen@müller.example"),
    "an international number": ("calls {} now", "+49 157 998-12345"),
    "a plain international number": ("calls {}.", "+4915799812345"),
    "a national number": ("calls {}.", "555-123-4567"),
    "a number in brackets": ("calls {}.", "(0157) 998 12345"),
    "a long number": ("calls {}", "015799812345"),
    "a bearer token": ("sent Authorization: Bearer {}", "hfc_0123456789"),
    "a password in a URL": ("cannot reach postgresql://habeas:{}@db.example.com:5432/habeas", "p/a@ss:w0rd"),
    "a password of libpq": ("host=db password={} dbname=x", "tiger7"),
    "a quoted secret": ("client_secret='{}', grant=x", "short one"),
    "a secret in JSON": ('{{"encryption_key": "{}"}}', "0123456789abcdef"),
    "a key in base64": ("key ring main:{} read", base64.b64encode(sha256(b"key").digest()).decode()),
    "a token": ("token of {} seen", base64.urlsafe_b64encode(sha256(b"token").digest()).decode()),
    "a key in hex": ("with {} in hand", sha256(b"key").hexdigest()),
}


@pytest.mark.parametrize("text, value", HIDDEN.values(), ids=HIDDEN)
def test_values_are_hidden_and_the_text_around_them_stays(text: str, value: str) -> None:
    shown = redact(text.format(value))
    assert value not in shown and REDACTED in shown
    for word in text.format("").split():
        if word.isalpha():
            assert word in shown


def test_hardly_any_random_secret_is_taken_for_a_word() -> None:
    chance = random.Random(7)
    secrets = [base64.urlsafe_b64encode(chance.randbytes(size)).decode() for size in (24, 32, 48) for _ in range(1000)]
    assert sum(secret in redact(f"made {secret} for it") for secret in secrets) < 5


SHOWN = (
    f"run run_{uuid.UUID(int=2**127)} ended at step access: 3 complete, 1 in error",
    f"request pri_{uuid.UUID(int=2**127 - 1)} of client root",
    "fault 3f9ac1d204be: OperationalError at /usr/lib/python3.11/site-packages/sqlalchemy/engine/default.py:951 do",
    "at /home/Ann/Projects/Habeas2/venv/lib/python3.11/site-packages/SomeThing/VeryLongModuleName2.py:12 run",
    "serving on http://127.0.0.1:8080 and http://[::1]:8080",
    "working for tcp://scheduler.example.com:8786 as tcp://10.12.144.13:41233",
    "the ledger at postgresql://db.example.com:5432/habeas does not answer",
    "2026-11-26T06:24:34.257Z and 2026-11-26 06:24:34+01:00 took 1234.5 ms",
    "shop:customers: 12345678 rows, policy give_and_forget_everything_2026, housekeeping drop_expired_tokens: 3",
    "the store refused: IdleInTransactionSessionTimeout, ReadOnlySqlTransaction, UnsupportedCompilationError",
    "connection shop could not be described: OperationalError",
)


@pytest.mark.parametrize("text", SHOWN)
def test_ids_places_and_counts_stay_readable(text: str) -> None:
    assert redact(text) == text


def record(message: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("x", logging.ERROR, "file", 1, message, arguments, trace)
    assert Redaction().filter(made)
    return made


def test_errors_among_the_arguments_are_their_kind_unless_they_are_ours() -> None:
    assert record("failed: %s", ValueError("Ann's")).getMessage() == "failed: ValueError"
    assert record("failed: %s", InputError("no such policy")).getMessage() == "failed: no such policy"


def test_a_trace_is_kind_and_place_without_words() -> None:
    try:
        raise ValueError("Kanarienweg 7")
    except ValueError as error:
        line = logging.Formatter().format(record("failed", error=error))
    assert "Kanarienweg" not in line
    assert f"ValueError at {__file__}:" in line and f" {sys._getframe().f_code.co_name}" in line


def test_arguments_that_do_not_fit_end_nothing() -> None:
    assert record("%d of %d", "one").getMessage() == "%d of %d"


@pytest.mark.parametrize("part", ["a", "password", "a://:", "a@", "aB1", "1", "+1 ", "token ", "://"])
def test_a_long_line_takes_no_more_than_its_length(part: str) -> None:
    began = time.perf_counter()
    redact(part * (40_000 // len(part)))
    assert time.perf_counter() - began < 1
