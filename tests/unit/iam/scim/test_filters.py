import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.scim.filters import DEEPEST, LONGEST, parse_filter, parse_path
from kiteward.iam.scim.matching import matches, required_values
from kiteward.iam.scim.schemas import GROUP, USER, USER_URN

BABS = {
    "id": "1",
    "userName": "Babs@Example.com",
    "externalId": "Ext-1",
    "name": {"familyName": "Jensen", "givenName": "Barbara"},
    "active": True,
    "emails": [{"value": "babs@example.com", "type": "work", "primary": True}, {"value": "b@home.example"}],
    "meta": {"created": "2026-11-29T12:00:00.000Z", "resourceType": "User"},
}


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "babs@example.com"',
        'USERNAME Eq "BABS@example.com"',
        f'{USER_URN}:userName eq "babs@example.com"',
        'externalId eq "Ext-1"',
        'userName ne "other"',
        'userName co "example"',
        'userName sw "BABS"',
        'userName ew ".com"',
        'name.familyName eq "jensen"',
        'name.familyName gt "A"',
        'name.familyName le "Jensen"',
        "active eq true",
        'active eq "True"',
        "active ne false",
        "name pr",
        "emails pr",
        "emails.type pr",
        'emails eq "b@home.example"',
        'emails.value sw "babs"',
        "displayName eq null",
        "not (displayName pr)",
        'emails[type eq "work" and value co "@example.com"]',
        'emails[type eq "work"].value eq "babs@example.com"',
        "emails[primary eq true]",
        'userName eq "x" or active eq true',
        'userName eq "x" or userName sw "babs" and active eq true',
        '(userName eq "x" or userName sw "babs") and not (active eq false)',
        'meta.created gt "2026-11-29T11:59:59Z"',
        'meta.created lt "2026-11-29T13:00:00+00:30"',
        'meta.resourceType eq "User"',
        'userName co "\\u0062abs"',
    ],
)
def test_a_filter_selects_what_it_describes(text: str) -> None:
    assert matches(parse_filter(USER, text), BABS)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "other"',
        'externalId eq "ext-1"',  # case matters
        'userName ne "babs@example.com"',
        "active eq false",
        "displayName pr",
        "not (userName pr)",
        'emails[type eq "work" and value eq "b@home.example"]',
        'emails[type eq "home"].value eq "babs@example.com"',
        'meta.created gt "2026-11-29T12:00:00Z"',
        'userName sw "babs" and active eq false',
        'userName eq "x" or userName eq "y"',
        'name.middleName eq "x"',
        'id eq "1" and manager eq "2"',
        'manager eq "2" and id eq "1"',
        'id eq "1" and active eq true and urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "2"',
    ],
)
def test_a_filter_selects_nothing_else(text: str) -> None:
    assert not matches(parse_filter(USER, text), BABS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        'userName is "x"',
        "userName eq x",
        "userName eq 'x'",
        "userName eq 5",
        'userName eq "x',
        'userName eq "\\x"',
        'userName eq "\\u0000"',
        'userName eq "\\ud800"',
        'userName eq "x" and',
        'userName eq "x" userName eq "y"',
        '(userName eq "x"',
        'not userName eq "x"',
        'shoeSize eq "x"',
        'title eq "not kept"',
        'manager eq "2"',
        'id eq "1" or manager eq "2"',
        'id ne "1" and manager eq "2"',
        'id eq "1" and not (manager eq "2")',
        'id eq "1" and (active eq true or manager eq "2")',
        'id eq "1" and manager sw "2"',
        'id eq "1" and manager pr',
        'id eq "1" and manager eq true',
        'id eq "1" and shoeSize eq "x"',
        'id eq "1" and emails[manager eq "2"]',
        'name.nick eq "x"',
        'name eq "x"',
        "active gt true",
        'active eq "x"',
        "userName gt null",
        'emails[type eq "work"',
        'emails[kind eq "work"]',
        'emails[emails[type eq "work"]]',
        'userName[type eq "work"]',
        'emails[type eq "work"].kind eq "x"',
        'urn:example:User:userName eq "x"',
        '"userName" eq "x"',
        "(" * (DEEPEST + 1) + 'userName eq "x"' + ")" * (DEEPEST + 1),
        f'userName eq "{"x" * LONGEST}"',
    ],
)
def test_any_other_filter_is_refused_as_such(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_filter(USER, text)
    assert refused.value.code is ErrorCode.SCIM_FILTER_INVALID


def test_a_time_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        matches(parse_filter(USER, 'meta.created gt "yesterday"'), BABS)
    assert refused.value.code is ErrorCode.SCIM_FILTER_INVALID


@given(st.text(max_size=60) | st.text(alphabet='userNamot eq"[]().\\andornot', max_size=60))
def test_no_text_makes_anything_but_a_filter_or_a_refusal(text: str) -> None:
    for read in (parse_filter, parse_path):
        try:
            read(USER, text)
        except InvalidArgument as error:
            assert error.code in (ErrorCode.SCIM_FILTER_INVALID, ErrorCode.SCIM_PATH_INVALID)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('displayName eq "x"', {"displayName": "x"}),
        ('displayName eq "x" and externalId eq "y"', {"displayName": "x", "externalId": "y"}),
        ('displayName eq "x" or externalId eq "y"', {}),
        ('not (displayName eq "x")', {}),
        ('displayName sw "x"', {}),
        ('members eq "1"', {"members.value": "1"}),
        ('members.value eq "1"', {"members.value": "1"}),
        ('members[value eq "1"]', {"members.value": "1"}),
        ('id eq "2" and members eq "1"', {"id": "2", "members.value": "1"}),
    ],
)
def test_indexes_are_used_for_values_that_every_match_has(text: str, values: dict[str, str]) -> None:
    assert required_values(parse_filter(GROUP, text)) == values


@pytest.mark.parametrize(
    ("text", "attribute", "part"),
    [
        ("userName", "userName", None),
        ("username", "userName", None),
        ("name.familyName", "name", "familyName"),
        (f"{USER_URN}:name.familyName", "name", "familyName"),
        ('emails[type eq "work"]', "emails", None),
        ('emails[type eq "work"].value', "emails", "value"),
        ("emails.value", "emails", "value"),
        ("title", None, None),
        ("manager", None, None),
        ("department", None, None),
        ('addresses[type eq "work"].country', None, None),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", None, None),
    ],
)
def test_a_path_names_an_attribute_or_one_that_is_not_kept(text: str, attribute: str | None, part: str | None) -> None:
    path = parse_path(USER, text)
    assert (path.attribute.name if path.attribute else None, path.part.name if path.part else None) == (attribute, part)


@pytest.mark.parametrize(
    "text", ["", " ", "shoeSize", "name.nick", "userName x", '"userName"', USER_URN, "emails[primary eq true]value"]
)
def test_a_path_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_path(USER, text)
    assert refused.value.code is ErrorCode.SCIM_PATH_INVALID
