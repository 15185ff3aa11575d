"""What reading PEM files with certificates and keys needs, of whichever side of a connection they are."""

import ssl


def no_passphrase() -> str:
    """Refuse an encrypted key where its passphrase would be asked for on a terminal: for contexts of `ssl`.

    Raises:
        ValueError: always.
    """
    raise ValueError("the key is encrypted")


def why_unusable(error: OSError | ValueError) -> str:
    """Return in a few words why a file cannot be used, for a message that names the file."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
