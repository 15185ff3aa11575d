"""Whatever is stored: its export changes nothing, and makes the same of an empty store."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.gateway import opened
from tests.unit.iam.json_api.conftest import Own

from kiteward.iam.policy_files import checking

NAMES = st.sampled_from(["ann", "bea", "cid"])
ROLES = st.sampled_from(["reader", "keeper"])
TEXTS = st.sampled_from(["", "no", "1e3", "a text, ü"])
PRIVILEGES = st.sampled_from(["Search", "Load", "Query", "Insert"])
LIMITS = st.fixed_dictionaries(
    {}, optional={"concurrentRequests": st.integers(1, 9), "requestsPerSecond": st.sampled_from([0.5, 7.0])}
)
GRANTS = st.lists(
    st.fixed_dictionaries({"privilege": PRIVILEGES, "collection": st.sampled_from(["docs", "other", "*"])}), max_size=4
)
RULES = st.fixed_dictionaries(
    {"actions": st.sampled_from([["Query"], ["Search", "Query"]]), "using": st.just("owner == $current_principal")},
    optional={"description": TEXTS, "roles": st.lists(ROLES, unique=True), "type": st.just("RESTRICTIVE")},
)
POLICIES = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "privilegeGroups": st.dictionaries(
            st.just("team"), st.fixed_dictionaries({"privileges": st.lists(PRIVILEGES, unique=True)})
        ),
        "roles": st.fixed_dictionaries(
            {
                name: st.fixed_dictionaries({"description": TEXTS, "grants": GRANTS, "limits": LIMITS})
                for name in ("reader", "keeper")
            }
        ),
        "users": st.dictionaries(
            NAMES,
            st.fixed_dictionaries(
                {"roles": st.lists(ROLES, unique=True), "enabled": st.booleans()},
                optional={
                    "description": TEXTS,
                    "tags": st.dictionaries(st.sampled_from(["team", "site"]), st.sampled_from(["red", "1", "true"])),
                    "limits": LIMITS,
                },
            ),
        ),
        "rowPolicies": st.lists(
            st.fixed_dictionaries(
                {
                    "collection": st.sampled_from(["docs", "other"]),
                    "enforced": st.booleans(),
                    "policies": st.dictionaries(st.sampled_from(["own", "more"]), RULES),
                }
            ),
            unique_by=lambda rows: rows["collection"],
        ),
        "groupRoles": st.lists(
            st.fixed_dictionaries({"issuer": st.just("scim"), "group": TEXTS.filter(bool), "role": ROLES}), max_size=2
        ),
    }
)
NOTHING: dict[str, Any] = {
    "version": 1,
    "privilegeGroups": {},
    "roles": {"public": {"grants": [], "limits": {}}, "admin": {"limits": {}}},
    "users": {},
    "rowPolicies": [],
    "groupRoles": [],
}


async def exported(own: Own) -> Any:
    return (await own("ExportPolicy"))["policy"]


async def applied(own: Own, document: Any) -> Any:
    """Make a file true, and check that it is then."""
    done = await own("ApplyPolicy", policy=document, allowDeletions=True)
    planned = await own("PlanPolicy", policy=document)
    assert (planned["changes"], planned["digest"], planned["faults"]) == ([], NO_CHANGE, [])
    return done


NO_CHANGE = "4f53cda18c2baa0c0354bb5f9a3ecbe5"
"""The digest of no changes."""


async def holds(first: Any, second: Any) -> None:
    """Make an engine with an empty store hold one policy after the other, and nothing in between."""
    with tempfile.TemporaryDirectory() as directory:
        engine = FakeEngine()
        engine.create("docs", "other")
        engine.answers["DescribeCollection"] = described(owner="VarChar")
        async with opened(Path(directory) / "store.db", engine) as harness:
            own = Own(harness)
            empty = await exported(own)
            await applied(own, first)
            held = await exported(own)
            assert checking.read(held)[1] == []
            assert (await applied(own, held))["changes"] == []
            await applied(own, second)
            other = await exported(own)
            await applied(own, NOTHING)
            assert await exported(own) == empty
            await applied(own, held)
            assert await exported(own) == held
            await applied(own, other)
            assert await exported(own) == other


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(first=POLICIES, second=POLICIES)
def test_an_export_makes_the_same_of_an_empty_store_and_of_any_other(first: Any, second: Any) -> None:
    asyncio.run(holds(first, second))
