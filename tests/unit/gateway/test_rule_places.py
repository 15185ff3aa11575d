"""Where in a request rules apply: to every field that holds a message of the type that a rule is about."""

from dataclasses import dataclass

from kiteward.gateway.rule_places import Place, places


@dataclass(frozen=True)
class Rule:
    message: str
    field: str


def test_a_rule_applies_wherever_its_message_is_and_in_the_request_itself() -> None:
    inner, whole, other = Rule("Inner", "name"), Rule("Whole", "inner.name"), Rule("Elsewhere", "name")
    paths = {"Whole": ("",), "Inner": ("inner", "more.inner")}
    assert places([inner, whole, other], paths) == (
        Place("inner.name", inner),
        Place("more.inner.name", inner),
        Place("inner.name", whole),
    )
