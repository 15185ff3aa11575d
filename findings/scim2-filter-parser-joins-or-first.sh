#!/usr/bin/env bash
# Package:   scim2-filter-parser 0.7.0, which django-scim2 uses; SQLite as the database.
# Behaviour: `and` and `or` have the same precedence, and are joined from left to right: `a or b and c` is read as
#            `(a or b) and c`. Users that the filter names are not found.
# Guess:     `and` before `or`, as RFC 7644 (3.4.2.2) has it, and as the parser's own comment says.
# Seen:      userName eq "ann" or title eq "clerk" and active eq true: found ['cid'], not ['ann', 'cid']; with the
#            operands in the other order ['ann', 'cid']
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scim2-filter-parser==0.7.0
env/bin/python -W ignore - <<'PYTHON'
import sqlite3

from scim2_filter_parser.queries.sql import SQLiteQuery

columns = {(name, None, None): f"users.{name.lower()}" for name in ("userName", "title", "active")}
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE users (username TEXT, title TEXT, active TEXT)")
users = [("ann", "clerk", "FALSE"), ("bob", "clerk", "FALSE"), ("cid", "clerk", "TRUE")]
database.executemany("INSERT INTO users VALUES (?, ?, ?)", users)


def found(text):
    query = SQLiteQuery(text, "users", columns)
    return sorted(row[0] for row in database.execute(query.sql, query.params)), query.where_sql


first, where = found('userName eq "ann" or title eq "clerk" and active eq true')
last, _ = found('title eq "clerk" and active eq true or userName eq "ann"')
print("or first", first, "or last", last)
print("as SQL:", where)
assert (first, last) == (["cid"], ["ann", "cid"]), (first, last)
PYTHON
