from collections.abc import Mapping
from typing import Final

import pytest

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import FilterSyntaxError, InvalidArgument
from kiteward.filters import (
    MAX_LENGTH,
    MAX_NESTING,
    And,
    Arithmetic,
    Call,
    Comparison,
    Constant,
    Dialect,
    Exists,
    Expression,
    Field,
    IsNull,
    JsonPath,
    Like,
    ListOf,
    Literal,
    Membership,
    Moment,
    Not,
    Or,
    Principal,
    Range,
    Tag,
    Template,
    parse,
)

N: Final = Field("n")
ONE, TWO = Literal(1), Literal(2)
IS_ONE, IS_TWO = Comparison("==", N, ONE), Comparison("==", N, TWO)

IN_BOTH: Final[Mapping[str, Expression]] = {
    "n == 1": IS_ONE,
    "(n == 1)": IS_ONE,
    "n==1": IS_ONE,
    "\tn\r\n==  1 ": IS_ONE,
    "1 == n": Comparison("==", ONE, N),
    "n != -1": Comparison("!=", N, Literal(-1)),
    "n < 1.5": Comparison("<", N, Literal(1.5)),
    "n >= 1e3": Comparison(">=", N, Literal(1000.0)),
    "b == true": Comparison("==", Field("b"), Literal(True)),
    "s == 'it\\'s'": Comparison("==", Field("s"), Literal("it's")),
    's == "a\\\\b\\n\\t"': Comparison("==", Field("s"), Literal("a\\b\n\t")),
    "n == m": Comparison("==", N, Field("m")),
    "n == 1 and n == 2": And((IS_ONE, IS_TWO)),
    "n == 1 && n == 2 AND n == 1": And((IS_ONE, IS_TWO, IS_ONE)),
    "n == 1 or n == 2 and n == 1": Or((IS_ONE, And((IS_TWO, IS_ONE)))),
    "(n == 1 || n == 2) and n == 1": And((Or((IS_ONE, IS_TWO)), IS_ONE)),
    "not (n == 1) and n == 2": And((Not(IS_ONE), IS_TWO)),
    "!(n == 1)": Not(IS_ONE),
    "not not (n == 1)": Not(Not(IS_ONE)),
    'not s like "a%"': Not(Like(Field("s"), Literal("a%"))),
    "not json_contains(j, 1)": Not(Call("json_contains", (Field("j"), ONE))),
    "n in [1, 2,]": Membership(N, ListOf((ONE, TWO))),
    "n not in []": Membership(N, ListOf(()), negated=True),
    'j["k"] in ["a"]': Membership(JsonPath("j", (Literal("k"),)), ListOf((Literal("a"),))),
    "n in {ids}": Membership(N, Template("ids")),
    "n == {one}": Comparison("==", N, Template("one")),
    'j["k"][0]["l"] > 1': Comparison(">", JsonPath("j", (Literal("k"), Literal(0), Literal("l"))), ONE),
    '$meta["k"] == 1': Comparison("==", JsonPath("$meta", (Literal("k"),)), ONE),
    "1 < n <= 2": Range(ONE, "<", N, "<=", TWO),
    '2 > j["k"] > 1': Range(TWO, ">", JsonPath("j", (Literal("k"),)), ">", ONE),
    "n % 2 == 1": Comparison("==", Arithmetic("%", N, TWO), ONE),
    "n + 2 * 2 == 1": Comparison("==", Arithmetic("+", N, Arithmetic("*", TWO, TWO)), ONE),
    "(n + 2) * 2 == 1": Comparison("==", Arithmetic("*", Arithmetic("+", N, TWO), TWO), ONE),
    "n - 1 - 2 == 1": Comparison("==", Arithmetic("-", Arithmetic("-", N, ONE), TWO), ONE),
    'exists j["k"]': Exists(JsonPath("j", (Literal("k"),))),
    'n == 1 and (exists j["k"])': And((IS_ONE, Exists(JsonPath("j", (Literal("k"),))))),
    "s is null": IsNull(Field("s")),
    "s IS NOT NULL": IsNull(Field("s"), negated=True),
    "ARRAY_CONTAINS(a, 1)": Call("array_contains", (Field("a"), ONE)),
    "json_contains_any(j['k'], [1, 2])": Call(
        "json_contains_any", (JsonPath("j", (Literal("k"),)), ListOf((ONE, TWO)))
    ),
    "array_length(a) == 2": Comparison("==", Call("array_length", (Field("a"),)), TWO),
    'text_match(s, "a b")': Call("text_match", (Field("s"), Literal("a b"))),
    'st_contains(g, "POINT (1 2)")': Call("st_contains", (Field("g"), Literal("POINT (1 2)"))),
    'st_dwithin(g, "POINT (1 2)", 5)': Call("st_dwithin", (Field("g"), Literal("POINT (1 2)"), Literal(5))),
}

IN_THE_EMBEDDED_ENGINE_ONLY: Final[Mapping[str, Expression]] = {
    "not n == 1": Not(IS_ONE),
    "n == 1 And n == 2": And((IS_ONE, IS_TWO)),
    "b": Field("b"),
    "b and True": And((Field("b"), Constant(True))),
    "1 == 1": Comparison("==", ONE, ONE),
    'exists j["k"] and n == 1': And((Exists(JsonPath("j", (Literal("k"),))), IS_ONE)),
    'j [ "k" ] == 1': Comparison("==", JsonPath("j", (Literal("k"),)), ONE),
    "n not  in [1]": Membership(N, ListOf((ONE,)), negated=True),
    "s is  null": IsNull(Field("s")),
    "1 < (n) < 2": Range(ONE, "<", N, "<", TWO),
    "-n == 1": Comparison("==", Arithmetic("-", Literal(0), N), ONE),
    "array_contains(a, (-1))": Call("array_contains", (Field("a"), Literal(-1))),
    "größe == 1": Comparison("==", Field("größe"), ONE),
    "n < m < 2": Range(N, "<", Field("m"), "<", TWO),
    "at > ISO '2026-01-31T12:00:00Z'": Comparison(">", Field("at"), Moment("ISO", Literal("2026-01-31T12:00:00Z"))),
    "at + INTERVAL 'P1D' > m": Comparison(
        ">", Arithmetic("+", Field("at"), Moment("INTERVAL", Literal("P1D"))), Field("m")
    ),
    "n == 007": Comparison("==", N, Literal(7)),
}

IN_MILVUS_ONLY: Final[Mapping[str, Expression]] = {
    "array_contains(a, -1)": Call("array_contains", (Field("a"), Literal(-1))),
    "json_contains(j, [1, 2])": Call("json_contains", (Field("j"), ListOf((ONE, TWO)))),
    "json_contains($meta['k'], 1)": Call("json_contains", (JsonPath("$meta", (Literal("k"),)), ONE)),
    "array_length(j['k']) == 1": Comparison("==", Call("array_length", (JsonPath("j", (Literal("k"),)),)), ONE),
    'phrase_match(s, "a b")': Call("phrase_match", (Field("s"), Literal("a b"))),
    'PHRASE_MATCH(s, "a b", 2)': Call("phrase_match", (Field("s"), Literal("a b"), TWO)),
    'st_touches(g, "POINT (1 2)")': Call("st_touches", (Field("g"), Literal("POINT (1 2)"))),
    "n == 0x10": Comparison("==", N, Literal(16)),
    "n == 020": Comparison("==", N, Literal(16)),
    "n == 0b101": Comparison("==", N, Literal(5)),
}

IN_POLICIES: Final[Mapping[str, Expression]] = {
    "owner == $current_principal": Comparison("==", Field("owner"), Principal()),
    "$current_principal == owner": Comparison("==", Field("owner"), Principal()),
    "$current_principal_tags['team'] == team": Comparison("==", Field("team"), Tag("team")),
    "team in [$current_principal_tags[\"te'am\"], 'all']": Membership(
        Field("team"), ListOf((Tag("te'am"), Literal("all")))
    ),
    "$current_principal in ['ann', 'bob']": Membership(Principal(), ListOf((Literal("ann"), Literal("bob")))),
    "$current_principal_tags['role'] == 'lead'": Comparison("==", Tag("role"), Literal("lead")),
    "array_contains(readers, $current_principal)": Call("array_contains", (Field("readers"), Principal())),
    "array_contains_any(readers, ['all', $current_principal])": Call(
        "array_contains_any", (Field("readers"), ListOf((Literal("all"), Principal())))
    ),
    "array_contains_all(levels, [1, -2])": Call("array_contains_all", (Field("levels"), ListOf((ONE, Literal(-2))))),
    "true": Constant(True),
    "b == true and (n in [1] OR n == 2)": And(
        (Comparison("==", Field("b"), Literal(True)), Or((Membership(N, ListOf((ONE,))), IS_TWO)))
    ),
}


@pytest.mark.parametrize("dialect", [Dialect.EMBEDDED, Dialect.MILVUS])
@pytest.mark.parametrize("text", IN_BOTH)
def test_filters_that_both_engines_take_have_one_tree(text: str, dialect: Dialect) -> None:
    assert parse(text, dialect) == IN_BOTH[text]


@pytest.mark.parametrize("text", IN_THE_EMBEDDED_ENGINE_ONLY)
def test_what_only_the_embedded_engine_takes_is_refused_for_milvus(text: str) -> None:
    assert parse(text, Dialect.EMBEDDED) == IN_THE_EMBEDDED_ENGINE_ONLY[text]
    with pytest.raises(FilterSyntaxError):
        parse(text, Dialect.MILVUS) if text != "n == 007" else parse("n == 008", Dialect.MILVUS)


@pytest.mark.parametrize("text", IN_MILVUS_ONLY)
def test_what_only_milvus_takes_is_refused_for_the_embedded_engine(text: str) -> None:
    assert parse(text, Dialect.MILVUS) == IN_MILVUS_ONLY[text]
    if text == "n == 020":  # read as another number there
        assert parse(text, Dialect.EMBEDDED) == Comparison("==", N, Literal(20))
        return
    with pytest.raises(FilterSyntaxError):
        parse(text, Dialect.EMBEDDED)


@pytest.mark.parametrize("text", IN_POLICIES)
def test_policies_have_a_small_language_with_variables(text: str) -> None:
    assert parse(text, Dialect.POLICY) == IN_POLICIES[text]


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("n = 1", 2, "write `==`"),
        ("n == 1 and", 10, "unexpected end of the filter"),
        ("n == 1)", 6, "unexpected `)`"),
        ("(n == 1", 7, "expected `)`"),
        ("n == 1 n", 7, "expected `and`, `or`, or the end"),
        ("", 0, "the filter is empty"),
        (" \n", 0, "the filter is empty"),
        ('s == "a', 5, "a string does not end"),
        ("s == 'a\nb'", 5, r"write a line break as \n"),
        (r's == "\d"', 6, r"the escape `\d`"),
        ("n == 1 --", 9, "unexpected end of the filter"),
        ("n == 1; drop", 6, "no comments and no statements"),
        ("n == 1 # x", 7, "no comments and no statements"),
        ("n == 1 /* x */", 8, "expected a field"),
        ("n == 1\0", 6, r"unexpected `\u{0}`"),
        ("n\u00a0== 1", 1, r"white space is blank, tab or line break"),
        ("n == ٣", 5, "unexpected"),
        ("n & 1 == 1", 2, "unexpected `&`"),
        ("n ** 2 == 1", 2, "`**` is not available"),
        ("n << 2 == 1", 2, "`<<` is not available"),
        ("n == 9223372036854775808", 5, "beyond 64 bits"),
        ("n == 1e999", 5, "too large"),
        ("n == 1.", 5, "is no number"),
        ("n == 1_000", 5, "is no number"),
        ("s == u8'a'", 7, "expected"),
        ("1 < n > 2", 6, "a range has one direction"),
        ("n == 1 == 1", 7, "a range has one direction"),
        ("1 < n < 2 < 3", 10, "join comparisons by `and`"),
        ("n in 1", 5, "expected `[`"),
        ("n in [m]", 6, "expected a value"),
        ("n + 1 in [1]", 0, "looks for the value of a field"),
        ("s like s", 7, "expected a pattern in quotes"),
        ("n is 1", 5, "expected `null`"),
        ("n == tRuE", 5, "write `true`"),
        ("n == null", 5, "is a keyword"),
        ("and == 1", 0, "is a keyword"),
        ("n", 0, ""),
        ("n + 1", 0, "a value is no condition"),
        ("(n == 1) == true", 0, "a condition is no value"),
        ("array_length(a)", 0, "compare it with a number"),
        ("text_match(s, 'a') == true", 0, "use it as it is"),
        ("random_sample(0.1)", 0, "there are array_contains"),
        ("json_contains(1, 1)", 14, "expected a field"),
        ("array_contains_any(a, [])", 22, "the list is empty"),
        ("array_contains(a)", 16, "expected `,`"),
        ("array_contains(a, 1, 2)", 19, "takes"),
        ("$current_principal == s", 0, "is not available"),
        ("$meta == 1", 6, "takes a key"),
        ("$meta[0] == 1", 0, "no places"),
        ("j[-1] == 1", 2, "a path has keys and places"),
        ("n == {1}", 5, "a template is a name in braces"),
        ("s == '\ud800'", 6, "surrogate"),
        ("at > ISO 'soon'", 5, ""),
    ],
)
def test_refusals_say_where_and_what_would_be_right(text: str, position: int, said: str) -> None:
    for dialect in (Dialect.EMBEDDED, Dialect.MILVUS):
        if text == "n" and dialect is Dialect.EMBEDDED:
            continue
        with pytest.raises(FilterSyntaxError) as caught:
            parse(text, dialect)
        error = caught.value
        assert isinstance(error, InvalidArgument)
        assert said in str(error)
        assert error.position == position
        assert f"at character {position + 1}: " in str(error)
        assert [(each.code, each.parameters) for each in error.details] == [
            (ErrorCode.FILTER_INVALID, {"position": position + 1})
        ]


@pytest.mark.parametrize(
    "text",
    [
        *("n != 1", "n < 1", "1 < n < 2", "not (n == 1)", "n not in [1]", "s like 'a'", "s is null", "n + 1 == 2"),
        *("exists j", "j['k'] == 1", "$meta['k'] == 1", "b", "n == m", "1 == 1", "true == true", "n == 1.5"),
        *("n in [1, 'a']", "n in [1, true]", "n in [1, $current_principal]", "1 in [1]", "json_contains(a, 1)"),
        *(
            "array_contains(a, [1])",
            "array_contains_all(a, [])",
            "array_contains_any(a, 1)",
            "array_contains(a['k'], 1)",
        ),
        *("n == 1 && n == 2", "n == 1 || n == 2", "!(n == 1)", "n == 1 And n == 2", "n == {one}", "n == 007"),
        *(
            "$current_principal",
            "$current_principal['k'] == 1",
            "$current_principal_tags == 1",
            "$other == n",
            "n == -m",
        ),
        *("$current_principal_tags[k] == n", "größe == 1", "at == ISO '2026-01-31'", "$current_principal + 1 == n"),
        *("array_length(a) == 1", "array_contains(a, 1) == true", "$current_principal like 'a'", "s == 'a' == true"),
    ],
)
def test_policies_cannot_say_what_engines_understand_differently(text: str) -> None:
    with pytest.raises(FilterSyntaxError):
        parse(text, Dialect.POLICY)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("j['owner'] == 'a'", "a key of a field is not available in row policies; compare a declared field"),
        ("owner == alice", "compare a field with a value or a variable, and write text in quotes"),
        ("owner == $current_principal_tags.team", "unexpected `.`$"),
    ],
)
def test_a_refusal_of_a_policy_says_what_would_be_right(text: str, right: str) -> None:
    with pytest.raises(FilterSyntaxError, match=right):
        parse(text, Dialect.POLICY)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(("opened", "closed"), [("(", ")"), ("not (", ")"), ("-(", ")"), ("(((", ")))"), ("!", "")])
def test_nesting_is_bounded(opened: str, closed: str, dialect: Dialect) -> None:
    for levels in (MAX_NESTING + 1, MAX_LENGTH // 20):
        with pytest.raises(FilterSyntaxError):
            parse(opened * levels + "n == 1" + closed * levels, dialect)


@pytest.mark.parametrize("dialect", Dialect)
def test_nesting_up_to_the_bound_is_read(dialect: Dialect) -> None:
    assert parse("(" * MAX_NESTING + "n == 1" + ")" * MAX_NESTING, dialect) == IS_ONE
    found = parse("not (" * (MAX_NESTING // 2) + "n == 1" + ")" * (MAX_NESTING // 2), Dialect.EMBEDDED)
    assert isinstance(found, Not)


def test_chains_are_flat_and_may_be_long() -> None:
    found = parse(" or ".join("n == 1" for _ in range(20_000)), Dialect.MILVUS)
    assert found == Or((IS_ONE,) * 20_000)


def test_arithmetic_is_bounded_since_its_chains_are_deep() -> None:
    parse(f"n{' + 1' * 128} == 1", Dialect.EMBEDDED)
    with pytest.raises(FilterSyntaxError, match="more than 128 arithmetic operators"):
        parse(f"n{' + 1' * 129} == 1", Dialect.EMBEDDED)


def test_filter_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(FilterSyntaxError, match="at most 262144"):
        parse("\0" * (MAX_LENGTH + 1), Dialect.EMBEDDED)


def test_message_repeats_a_part_of_the_filter_on_one_line() -> None:
    with pytest.raises(FilterSyntaxError) as caught:
        parse(f"n == 1 {'x' * 5000}", Dialect.EMBEDDED)
    assert len(str(caught.value)) < 200
    with pytest.raises(FilterSyntaxError) as caught:
        parse("s == 'a' '\t\u202e'", Dialect.EMBEDDED)
    assert str(caught.value).isprintable()
