import pytest
from tests.unit.filters.random_filters import RandomFilters

from kiteward.domain.errors import FilterSyntaxError
from kiteward.filters import (
    MAX_LENGTH,
    And,
    Comparison,
    Constant,
    Dialect,
    Expression,
    Field,
    ListOf,
    Literal,
    Membership,
    Not,
    Or,
    Principal,
    Tag,
    Template,
    conjoin,
    parse,
    write,
)

IS_ONE = Comparison("==", Field("n"), Literal(1))


@pytest.mark.parametrize(
    ("text", "embedded", "milvus"),
    [
        ("((n==1))", "n == 1", "n == 1"),
        ("n == 1 || (n == 2 && n == 3)", "n == 1 or n == 2 and n == 3", "n == 1 or n == 2 and n == 3"),
        ("(n == 1 or n == 2) and n == 3", None, None),
        ("(n == 1 and n == 2) and n == 3", None, None),
        ("n == 1 or (n == 2 or n == 3)", None, None),
        ("!(n == 1)", "not (n == 1)", "not (n == 1)"),
        ("!JSON_CONTAINS(j, 1)", "not json_contains(j, 1)", "not json_contains(j, 1)"),
        ("not (not (n == 1))", None, None),
        ('n == 1 and (exists j["k"])', 'n == 1 and exists j["k"]', 'n == 1 and (exists j["k"])'),
        ('exists j["k"]', None, None),
        ("(n + 1) * 2 - (m - 3) % 4 == -5", None, None),
        ("n * (m / 2) == n - (1 - 2)", None, None),
        ("1 < n <= 2", None, None),
        ("n not in [1,2,]", "n not in [1, 2]", "n not in [1, 2]"),
        ("n IN []", "n in []", "n in []"),
        ('s LIKE "a\\\\b%"', 's like "a\\\\b%"', 's like "a\\\\b%"'),
        ("s is null or j['k'][0] is not null", None, None),
        ("json_contains_any(j['k'], [1, -2.50, 'a'])", None, None),
        ("n == 1e3 and m == 0.50", None, None),
    ],
)
def test_filters_are_written_with_few_parentheses(text: str, embedded: str | None, milvus: str | None) -> None:
    assert write(parse(text, Dialect.EMBEDDED), Dialect.EMBEDDED) == (embedded or text)
    assert write(parse(text, Dialect.MILVUS), Dialect.MILVUS) == (milvus or text)


def test_negative_argument_is_written_as_each_engine_reads_it() -> None:
    tree = parse("array_contains(a, -1)", Dialect.POLICY)
    assert write(tree, Dialect.EMBEDDED) == "array_contains(a, (-1))"
    assert write(tree, Dialect.MILVUS) == write(tree, Dialect.POLICY) == "array_contains(a, -1)"


@pytest.mark.parametrize("seed", range(8))
def test_written_filter_has_the_same_tree(seed: int) -> None:
    made = RandomFilters(seed)
    read = 0
    for _ in range(250):
        text = made.filter()
        for dialect in (Dialect.EMBEDDED, Dialect.MILVUS):
            try:
                tree = parse(text, dialect)
            except FilterSyntaxError:
                continue
            read += 1
            written = write(tree, dialect)
            assert parse(written, dialect) == tree, text
            assert write(parse(written, dialect), dialect) == written
    assert read > 200


@pytest.mark.parametrize(
    "text", ["$current_principal == 'a\\\"'", 'n in [1, -1] or $current_principal_tags["k\'"] == n', "true"]
)
def test_policies_are_written_as_policies(text: str) -> None:
    tree = parse(text, Dialect.POLICY)
    assert parse(write(tree, Dialect.POLICY), Dialect.POLICY) == tree


@pytest.mark.parametrize(
    "tree",
    [
        Comparison("==", Field("n"), Template("x")),
        Comparison("==", Field("n"), Principal()),
        Membership(Field("n"), ListOf((Tag("k"),))),
    ],
)
def test_what_has_no_value_is_not_written_for_an_engine(tree: Expression) -> None:
    for dialect in (Dialect.EMBEDDED, Dialect.MILVUS):
        with pytest.raises(FilterSyntaxError):
            write(tree, dialect)


@pytest.mark.parametrize("value", [True, False])
def test_constants_are_written_where_they_are_read(value: bool) -> None:
    assert write(Constant(value), Dialect.EMBEDDED) == str(value).lower()
    for tree in (Constant(value), Or((IS_ONE, Constant(value))), Not(Constant(value))):
        with pytest.raises(FilterSyntaxError):
            write(tree, Dialect.MILVUS)


def test_list_of_keys_alone_is_an_ordinary_filter() -> None:
    keys = Membership(Field("id"), ListOf((Literal(3), Literal(1))))
    assert write(conjoin(keys, None), Dialect.EMBEDDED) == "id in [3, 1] and true"
    assert write(conjoin(keys, None), Dialect.MILVUS) == "id in [3, 1]"


def test_what_is_too_long_or_too_deep_is_not_written() -> None:
    with pytest.raises(FilterSyntaxError, match="at most"):
        write(Comparison("==", Field("s"), Literal("x" * MAX_LENGTH)), Dialect.EMBEDDED)
    deep: Expression = IS_ONE
    for _ in range(100_000):
        deep = Not(deep)
    with pytest.raises(FilterSyntaxError, match="too deeply"):
        write(deep, Dialect.EMBEDDED)


def test_policy_and_filter_are_written_as_one_conjunction() -> None:
    policy = parse("n == 1 or n == 2", Dialect.POLICY)
    user = parse("n == 3 or n == 4", Dialect.EMBEDDED)
    assert write(conjoin(policy, user), Dialect.EMBEDDED) == "(n == 1 or n == 2) and (n == 3 or n == 4)"
    assert write(conjoin(policy, And((user, IS_ONE))), Dialect.MILVUS) == (
        "(n == 1 or n == 2) and (n == 3 or n == 4) and n == 1"
    )
