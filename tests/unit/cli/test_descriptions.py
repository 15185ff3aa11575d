"""Descriptions are given where something is created, changed and cleared afterwards, near and far alike."""

import itertools
import json
from types import SimpleNamespace

import pytest
from tests.unit.cli.conftest import Run

_NUMBERS = itertools.count()


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
@pytest.mark.parametrize("group", ["users", "roles", "keys"])
def test_a_description_is_given_changed_and_cleared(run: Run, served: SimpleNamespace, group: str, far: bool) -> None:
    where = ("--server", served.url, "--token-file", served.token) if far else ("--data-dir", served.data)

    def done(*words: str) -> dict[str, object]:
        status, printed, told = run(group, *words, "--json", *where)
        assert status == 0, told
        answer: dict[str, object] = json.loads(printed)
        return answer

    name = "root" if group == "keys" else f"described{next(_NUMBERS)}"
    made = done("create", name, "--description", "of the nightly import")
    name = str(made.get("keyId", name))
    assert done("describe", name)["description"] == "of the nightly import"
    done("set-description", name, "of the daily import")
    assert done("describe", name)["description"] == "of the daily import"
    done("set-description", name)
    assert done("describe", name)["description"] == ""


@pytest.mark.parametrize(
    ("group", "told"),
    [("users", "user not found: nobody"), ("roles", "role not found: nobody"), ("keys", "API key not found: nobody")],
)
def test_a_description_of_nobody_is_refused(run: Run, served: SimpleNamespace, group: str, told: str) -> None:
    assert run(group, "set-description", "nobody", "text", "--data-dir", served.data) == (1, "", f"kiteward: {told}\n")
