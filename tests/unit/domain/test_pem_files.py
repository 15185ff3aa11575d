"""Why a file with a certificate or a key cannot be used, in words without its content."""

import errno
import ssl
from pathlib import Path

import pytest

from kiteward.domain.pem_files import no_passphrase, why_unusable


def test_an_encrypted_key_is_refused_instead_of_asking() -> None:
    with pytest.raises(ValueError, match="the key is encrypted") as refused:
        no_passphrase()
    assert why_unusable(refused.value) == "the key is encrypted"


def test_what_is_wrong_with_a_file_is_said_without_its_path_and_content(tmp_path: Path) -> None:
    file = tmp_path / "no.pem"
    file.write_text("secret")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ssl.SSLError) as unreadable:
        context.load_cert_chain(file)
    assert "pem" in why_unusable(unreadable.value)
    with pytest.raises(FileNotFoundError) as missing:
        context.load_cert_chain(tmp_path / "none.pem")
    assert why_unusable(missing.value) == "No such file or directory"
    assert why_unusable(OSError()) == "OSError"
    assert why_unusable(PermissionError(errno.EACCES, "Permission denied", "/a/path")) == "Permission denied"
