"""What the modules of the tables share."""

from typing import Final

from sqlalchemy import MetaData, Text
from sqlalchemy.types import TypeEngine

METADATA: Final = MetaData()


def name() -> TypeEngine[str]:
    """Return the type of names, which are compared byte by byte."""
    # SQLite compares text byte by byte by itself; PostgreSQL would use the database's collation, so "C" is set.
    return Text().with_variant(Text(collation="C"), "postgresql")
