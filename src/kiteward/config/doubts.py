"""Keys of Milvus's sections that are probably misspelt."""

from pathlib import Path
from typing import Final

from kiteward.config import keys
from kiteward.config.sources import SECTIONS, read_file
from kiteward.config.spelling import misspelt

_OWN: Final = "kiteward"
_KEYS_OF_MILVUS: Final = frozenset(key.name for key in keys.KEYS if key.name.partition(".")[0] != _OWN)


def doubtful_keys(path: Path | None) -> tuple[str, ...]:
    """Return a sentence for each key of Milvus's sections of a file that has no effect because it is misspelt.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if path is None:
        return ()
    file = read_file(path)
    doubts = misspelt(file.document, _KEYS_OF_MILVUS, SECTIONS - {_OWN})
    return tuple(
        f"{key}{file.place_of(key)} is not read here: did you mean {meant}?" for key, meant in sorted(doubts.items())
    )
