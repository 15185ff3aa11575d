"""Filters that try to find more than their sender may see.

Published cases are about clients that put values into filters without quoting them. Each is described here in our own
words: the text around the value, and a value that ends its literal. `{key}` and `{text}` are replaced by fields of the
collection.
"""

from collections.abc import Callable, Sequence
from typing import Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies.filters import Filter, Filters, literal
from tests.row_policies.schemas import OWNER, Kind, Schema
from tests.row_policies.values import Pool

PUBLISHED: Final = (
    # mem0 5744: memories of one user, in parentheses
    ('({text} == "', '") or true or ("', '")'),
    ('(info["user_id"] == "', '") or true or ("', '")'),
    # mem0 5977, of a store beside it: another user's name after the quote
    ('{text} == "', 'x" OR {text} != "nobody', '"'),
    # zepiris 4: a tenant that is compared with itself
    ('{text} == "', '" OR "1"=="1', '"'),
    # vLLM semantic router 2138: the C spelling of `or`
    ('{text} == "', 'x" || {text} != "y', '"'),
    # Spring AI, CVE-2026-41705: ids of a delete, in single quotes in a list
    ("{key} in ['", "x'] or {key} not in ['x", "']"),
    ("{key} in [", "0] or {key} >= 0 or {key} in [0", "]"),
    ("{text} in ['", "x'] or '1' == '1' or {text} in ['", "']"),
    # Spring AI, CVE-2026-40967, and Dify 33229: values of a list of documents
    ('info["document_id"] in ["', '"] or {text} like "%" or info["document_id"] in ["', '"]'),
    # NVIDIA's RAG blueprint 529: the name of a file
    ("{text} == '", "evil.pdf' or '1'=='1", "'"),
    ("info['source'] == '", "evil.pdf' or '1'=='1", "'"),
    # rocketride 355: a filter whose end restricts it
    ("{text} == '", "x' or true or {text} == '", "' and {key} in [0]"),
    ("", "true) or (true", ""),
    # langchain4j 6333, agno 8823: the key of a metadata filter
    ('info["', 'tenant"] != "" or info["x', '"] == "acme"'),
    ('$meta["', 'tenant"] != "" or $meta["x', '"] == "acme"'),
    # anvia 390: the name of a field
    ("", "1 == 1 or {key} != {key}", ' == "acme"'),
    ("", "{key} == {key} or {key}", " == 0"),
    # LightRAG 3555, mcp-memory-service 1107: a backslash that swallows the closing quote
    ('{text} == "', "x\\", '" or {text} == " or true or "'),
    ('{text} == "', '\\" or true or \\"', '"'),
    # vkfs 2: a prefix that restricts to a folder
    ('{text} like "', '%" or {text} like "', '%"'),
    ('{text} like "', "%", '%"'),
    # Couchbase beside agno 8823, and the rule ATR-2026-00448: ends of statements, comments, escapes of other languages
    ("", "{text} is not null or 1=1 --", " == 'x'"),
    ('{text} == "', '" or true; --', '"'),
    ('{text} == "', '" or true /*', '*/"'),
    ('{text} == "', '" or {text} like "%" ESCAPE "\\\\', '"'),
    ('{text} == "', '" or true #', '"'),
    ('{text} == "', '" or true //', '"'),
)
"""Text before a value, the value, text after it."""

FOREIGN: Final = (
    "1=1",
    "1 == 1",
    "' OR '1'='1",
    "'; DROP TABLE docs; --",
    "1 UNION SELECT * FROM users",
    '{"$ne": null}',
    '{"$where": "true"}',
    "|| true",
    "*)(uid=*))(|(uid=*",
    "${jndi:ldap://localhost/a}",
    "{{7*7}}",
    "$(id)",
    "`id`",
    "\x00",
    "true\x00 and false",
    "<script>1</script>",
    "FILTER { true }",
    "MATCH (n) RETURN n",
    "@owner:{*}",
    "not false",
    "!false",
    "{key} == {key}",
    "$current_principal == $current_principal",
    "{text} == $current_principal",
    "$current_principal_tags['dept'] == $current_principal_tags['dept']",
    "true or $current_principal == 'x'",
    "skip_rls",
    "rls.enabled == false",
    "_seq >= 0",
    "_partition == '_default'",
    "$meta is null",
    "$meta is not null",
    '$meta["owner"] is null or true',
    "true) or (true",
    "true)) or ((true",
    ") or (",
    "(",
    ")",
    "[]",
    "{key} in []",
    "{key} not in []",
    "not ({key} in [])",
    "random_sample(0.99)",
    "{key} >= 0 && random_sample(0.5)",
    "text_match({text}, 'a') or true",
    "phrase_match({text}, 'a', 1) or true",
    "{text} like '%' or {text} is null",
    "true and true or false",
    "false or not false",
    "not true or not not true",
    "{key} == 1.5 or true",
    "9223372036854775808 == 9223372036854775808",
    "9223372036854775807 + 1 < 0",
    "{text} == u8'x' or true",
    "{text} == '\\x41' or true",
    "{text} == 'a' -- ' or true",
    "true // and false",
    "true /* and */",
    "true\nand\ntrue",
    "\u00a0true",
    "\uff08true\uff09 or true",
    "tr\u200bue",
    "TRUE OR TRUE",
    "exists info or true",
    "exists info['x'] or true",
    "st_isvalid(place) or true",
    "json_contains(info, 1) or true",
    "array_length(readers) >= 0",
    "array_contains(readers, {key})",
    "readers[0] == readers[0]",
    "ISO '2020-01-01T00:00:00Z' < ISO '2021-01-01T00:00:00Z'",
    "true or INTERVAL 'P1D' == INTERVAL 'P1D'",
    "{text} in {{names}}",
    "{text} == {{name}}",
    " ",
    "\t\n",
)
_PIECES: Final = (
    "(",
    ")",
    '"',
    "'",
    "\\",
    "[",
    "]",
    " or true",
    " and false",
    " not ",
    "--",
    "#",
    "/*",
    "*/",
    ";",
    "\n",
)
_JUNCTIONS: Final = (" or ", " and ", " || ", ") or (", '" or "', "' or '")


class Hostiles:
    """Draws hostile filters over one collection. What they mean is not certain; what they may find is."""

    def __init__(self, schema: Schema, filters: Filters, pool: Pool) -> None:
        self._filters = filters
        self._pool = pool
        texts = [field.name for field in schema.of_kind(Kind.VARCHAR)]
        self._texts: Sequence[str] = texts or [OWNER]
        self._key = schema.key.name

    def draw(self, draw: Draw) -> Filter:
        """Return one."""
        kinds: Sequence[Callable[[Draw], str]] = (
            self._published,
            self._published,
            self._foreign,
            self._mutated,
            self._mutated,
            self._joined,
            self._nested,
        )
        return Filter(draw.of(kinds)(draw), lambda _: None)

    def _published(self, draw: Draw) -> str:
        return self._filled(draw, "".join(draw.of(PUBLISHED)))

    def _foreign(self, draw: Draw) -> str:
        return self._filled(draw, draw.of(FOREIGN))

    def _filled(self, draw: Draw, text: str) -> str:
        text = text.replace("{key}", self._key).replace("{text}", draw.of(self._texts))
        return text.replace("{{", "{").replace("}}", "}")

    def _mutated(self, draw: Draw) -> str:
        text = self._filters.draw(draw).text
        for _ in range(draw.number(3)):
            at = draw.random.randint(0, len(text))
            until = min(len(text), at + draw.random.randint(0, 4))
            text = (
                text[:at] + (draw.of(_PIECES) if draw.chance(0.7) else "") + text[until if draw.chance(0.5) else at :]
            )
        return text

    def _joined(self, draw: Draw) -> str:
        value = draw.of(PUBLISHED)[1] if draw.chance(0.5) else draw.of(FOREIGN)
        return self._filled(draw, self._filters.draw(draw).text + draw.of(_JUNCTIONS) + value)

    def _nested(self, draw: Draw) -> str:
        depth = draw.of((2, 8, 50, 120, 200))
        if draw.chance(0.3):
            return "not (" * depth + "false" + ")" * depth
        missing = draw.of((0, 0, 1, -1))
        inner = f"{draw.of(self._texts)} == {literal(draw, self._pool.text(draw))}"
        return "(" * depth + inner + ")" * max(0, depth - missing)
