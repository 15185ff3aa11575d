"""Expressions that SQLite and PostgreSQL write in different words; the dialect of the connection chooses."""

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Column, Connection, Float, Integer, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Upsert = sqlite.Insert | postgresql.Insert

POSTGRESQL: Final = "postgresql"
"""The name of SQLAlchemy's dialect of PostgreSQL."""


class position(FunctionElement[int]):  # noqa: N801  used as a function
    """The position of a text in a column, counted from 1; 0 where the column does not contain it."""

    inherit_cache = True
    type = Integer()


class contains_text(FunctionElement[bool]):  # noqa: N801  used as a function
    """Whether a column contains a text, regardless of the case of ASCII letters; others have to be the same."""

    inherit_cache = True
    type = Boolean()


class json_object(FunctionElement[str]):  # noqa: N801  used as a function
    """The aggregate of keys and values of the rows of a group as the text of a JSON object; `{}` for no rows."""

    inherit_cache = True
    type = Text()


class json_list(FunctionElement[str]):  # noqa: N801  used as a function
    """The aggregate of the texts of a group of rows as the text of a JSON list; `[]` for no rows."""

    inherit_cache = True
    type = Text()


class pattern_matches(FunctionElement[bool]):  # noqa: N801  used as a function
    """Whether a text matches a pattern, in which `*` stands for any characters and others for themselves."""

    inherit_cache = True
    type = Boolean()


class database_time(FunctionElement[float]):  # noqa: N801  used as a function
    """The present time by the clock of the database's machine, in seconds since the epoch."""

    inherit_cache = True
    type = Float()


@compiles(database_time, "sqlite")
def _database_time_sqlite(_element: database_time, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_time, "postgresql")
def _database_time_postgresql(_element: database_time, _compiler: SQLCompiler, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::float8"


class timeline(FunctionElement[str]):  # noqa: N801  used as a function
    """The timeline of the database, which is another one after each failover; empty where there is none."""

    inherit_cache = True
    type = Text()


@compiles(position, "sqlite")
def _position_sqlite(element: position, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(position, "postgresql")
def _position_postgresql(element: position, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(contains_text, "sqlite")
def _contains_text_sqlite(element: contains_text, compiler: SQLCompiler, **options: Any) -> str:
    column, text = (compiler.process(each, **options) for each in element.clauses)
    return f"(instr(lower({column}), lower({text})) > 0)"


@compiles(contains_text, "postgresql")
def _contains_text_postgresql(element: contains_text, compiler: SQLCompiler, **options: Any) -> str:
    # By the collation of the database, lower() would change other letters too.
    column, text = (f'lower(({compiler.process(each, **options)}) COLLATE "C")' for each in element.clauses)
    return f"(strpos({column}, {text}) > 0)"


@compiles(json_object, "sqlite")
def _json_object_sqlite(element: json_object, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_object({compiler.process(element.clauses, **options)})"


@compiles(json_object, "postgresql")
def _json_object_postgresql(element: json_object, compiler: SQLCompiler, **options: Any) -> str:
    return f"coalesce(json_object_agg({compiler.process(element.clauses, **options)})::text, '{{}}')"


@compiles(json_list, "sqlite")
def _json_list_sqlite(element: json_list, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **options)})"


@compiles(json_list, "postgresql")
def _json_list_postgresql(element: json_list, compiler: SQLCompiler, **options: Any) -> str:
    return f"coalesce(json_agg({compiler.process(element.clauses, **options)})::text, '[]')"


@compiles(pattern_matches, "sqlite")
def _pattern_matches_sqlite(element: pattern_matches, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = (compiler.process(each, **options) for each in element.clauses)
    return f"({text} GLOB replace(replace({pattern}, '[', '[[]'), '?', '[?]'))"


@compiles(pattern_matches, "postgresql")
def _pattern_matches_postgresql(element: pattern_matches, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = (compiler.process(each, **options) for each in element.clauses)
    escaped = f"replace(replace(replace({pattern}, '!', '!!'), '%', '!%'), '_', '!_')"
    return f"({text} LIKE replace({escaped}, '*', '%') ESCAPE '!')"


@compiles(timeline, "sqlite")
def _timeline_sqlite(_element: timeline, _compiler: SQLCompiler, **_options: Any) -> str:
    return "''"


@compiles(timeline, "postgresql")
def _timeline_postgresql(_element: timeline, _compiler: SQLCompiler, **_options: Any) -> str:
    return "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"  # the name of a segment begins with it


def insert_with_conflicts(table: Table, dialect: str) -> "Upsert":
    """Return an insert that can say what becomes of rows whose key exists already.

    Args:
        table: where rows are inserted.
        dialect: the name of the dialect of the connection.
    """
    if dialect == POSTGRESQL:
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # noqa: PLC0415  not where it is not used

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415  as above

    return sqlite_insert(table)


def insert_missing(table: Table, dialect: str) -> "Upsert":
    """Return an insert that skips rows whose key exists already; its row count is the number of new ones.

    Args:
        table: where rows are inserted.
        dialect: the name of the dialect of the connection.
    """
    return insert_with_conflicts(table, dialect).on_conflict_do_nothing()


def insert_later(column: Column[float], dialect: str) -> "Upsert":
    """Return an insert that, where a key exists already, replaces the value of a column by a higher one only.

    Args:
        column: the column, of the table where rows are inserted.
        dialect: the name of the dialect of the connection.
    """
    table = column.table
    new = insert_with_conflicts(table, dialect)
    return new.on_conflict_do_update(
        index_elements=table.primary_key,
        set_={column.name: new.excluded[column.name]},
        where=column < new.excluded[column.name],
    )


def broken_references(connection: Connection) -> int:
    """Return how many rows refer to a row that is not there."""
    if connection.dialect.name == POSTGRESQL:
        return 0  # it enforces foreign keys always, also while tables change
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())
