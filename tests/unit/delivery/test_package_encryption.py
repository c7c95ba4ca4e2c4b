"""Encryption of packages: the seeds' own messages open, ours open, and a wrong key does not."""

import base64
import io
import subprocess
import sys

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as some

from habeas.delivery.encryption import EncryptingWriter, check_package_key, decrypt, encrypt
from habeas.domain.errors import InputError

KEY = b"test--encryption"
PLAINTEXT = b'{"street": "test street", "state": "NY"}'
OLD = "d71a5dc3c49d7n7QN+tueapbID9CC48QWX6MoIUdzm6M8aH+VdLagsOm/Wk0Gz+q51tehcgM9DdTFJizA3m+joA="
NEW = "GPUiK9tq5k/HfBnSN+J+OvLXZ+GCisapdI2KGP7A1WK+dz1XHef+hWb/SjszdqdNVGvziyY6GF5KIrvrXgxjZuaAvgU="


# A8
def test_the_message_of_seed_000_opens_with_its_text_nonce() -> None:
    assert decrypt(OLD[12:], KEY, OLD[:12].encode()) == PLAINTEXT


@pytest.mark.parametrize("message", [OLD, f"'{OLD}'", f"{OLD}\n", OLD.encode()])
@pytest.mark.parametrize("key", [KEY, KEY.decode()])
def test_the_message_of_seed_000_opens_as_it_stands(message: str | bytes, key: str | bytes) -> None:
    assert decrypt(message, key) == PLAINTEXT


@pytest.mark.parametrize("message", [OLD, NEW])
def test_the_nonce_is_what_else_is_authenticated(message: str) -> None:
    sealed, nonce = base64.b64decode(NEW)[12:], base64.b64decode(NEW)[:12]
    if message is OLD:
        sealed, nonce = base64.b64decode(OLD[12:]), OLD[:12].encode()
    for other in (None, b"", nonce[:-1], b"x" * 12):
        with pytest.raises(InvalidTag):
            AESGCM(KEY).decrypt(nonce, sealed, other)
    assert AESGCM(KEY).decrypt(nonce, sealed, nonce) == PLAINTEXT


def test_anyone_can_import_decrypt_without_the_application() -> None:
    program = "import sys; from habeas import decrypt; print(decrypt(sys.argv[1], 'test--encryption').decode()); "
    program += "print(*(name for name in sys.modules if name.startswith('habeas.')))"
    done = subprocess.run([sys.executable, "-c", program, NEW], capture_output=True, text=True, check=True)
    opened, modules = done.stdout.splitlines()
    assert opened == PLAINTEXT.decode()
    assert set(modules.split()) == {
        "habeas.delivery", "habeas.delivery.encryption", "habeas.domain", "habeas.domain.errors",
    }  # fmt: skip


@pytest.mark.parametrize("message", [NEW, NEW + "'"])
def test_the_message_of_seeds_001_and_002_opens_even_with_its_stray_quote(message: str) -> None:
    assert decrypt(message, KEY) == PLAINTEXT


@pytest.mark.parametrize("size", [16, 24, 32])
def test_what_we_encrypt_opens_with_each_length_of_key(size: int) -> None:  # Y12
    key = check_package_key("k" * size)
    assert decrypt(encrypt(PLAINTEXT, key), key) == PLAINTEXT


def test_equal_packages_look_different() -> None:
    assert encrypt(PLAINTEXT, KEY) != encrypt(PLAINTEXT, KEY)


@pytest.mark.parametrize("text", ["", "k" * 15, "k" * 17, "é" * 9])
def test_a_key_of_another_length_is_refused_without_being_repeated(text: str) -> None:  # Y13
    with pytest.raises(InputError, match="16, 24 or 32 bytes") as caught:
        check_package_key(text)
    assert not text or text not in str(caught.value)


def test_a_keys_length_counts_bytes_not_characters() -> None:
    assert check_package_key("é" * 8) == "é".encode() * 8


@pytest.mark.parametrize("damaged", ["", "abc", NEW[:-8], NEW.replace("G", "H", 1)])
def test_a_damaged_package_is_refused(damaged: str) -> None:
    with pytest.raises(InputError, match="does not open"):
        decrypt(damaged, KEY)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(InputError, match="does not open"):
        decrypt(NEW, b"another-key-1234")


@given(some.lists(some.binary(max_size=20)))
def test_a_package_written_in_pieces_opens_as_a_whole(pieces: list[bytes]) -> None:
    file = io.BytesIO()
    writer = EncryptingWriter(file, KEY)
    for piece in pieces:
        assert writer.write(piece) == len(piece)
    writer.close()
    writer.close()
    base64.b64decode(file.getvalue(), validate=True)
    assert decrypt(file.getvalue().decode(), KEY) == b"".join(pieces)


def test_a_package_cut_off_before_its_end_does_not_open() -> None:
    file = io.BytesIO()
    EncryptingWriter(file, KEY).write(PLAINTEXT)
    with pytest.raises(InputError):
        decrypt(file.getvalue().decode(), KEY)
