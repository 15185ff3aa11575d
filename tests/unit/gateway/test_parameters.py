"""Known parameters pass, those that speak of something protected do not, about others the operator decides."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.admission import Admission
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.parameters import PARAMETERS, check_parameters
from kiteward.gateway.settings import UnknownParameters
from kiteward.milvus import messages


def check(operation: str, *, unknown: UnknownParameters = UnknownParameters.FORWARD, **fields: Any) -> None:
    row = OPERATIONS[operation]
    assert row.reader is not None
    payload = messages.method_of(operation).request(**fields).SerializeToString()
    check_parameters(row.parameters, row.reader.read(payload, Admission().check), unknown=unknown)


def pairs(**parameters: str) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in parameters.items()]


def test_parameters_of_an_ordinary_search_pass_even_where_unknown_ones_are_refused() -> None:
    params = pairs(topk="10", params='{"ef": 64, "radius": 1.0, "range_filter": 2.0}', anns_field="v", metric_type="L2")
    check("Search", search_params=params, unknown=UnknownParameters.REFUSE)


@pytest.mark.parametrize(
    "name",
    [
        "namespace",
        "tenant_id",
        "rls.skip",
        "rls_principal",
        "skip_rls",
        "row_filter",
        "expr",
        "partition_key",
        "ids",
        "file_path",
        "endpoint",
        "external_source",
        "Namespace",
    ],
)
@pytest.mark.parametrize("unknown", list(UnknownParameters))
def test_a_parameter_that_speaks_of_something_protected_is_refused(name: str, unknown: UnknownParameters) -> None:
    with pytest.raises(InvalidArgument, match=f"search parameter `{name}` is not accepted") as refusal:
        check("Search", search_params=pairs(**{name: "x"}), unknown=unknown)
    assert refusal.value.code is ErrorCode.PARAMETER_NOT_ACCEPTED


def test_other_unknown_parameters_are_the_operators_decision() -> None:
    params = pairs(speed="high")
    check("Search", search_params=params)
    with pytest.raises(InvalidArgument, match="search parameter `speed` is not accepted: this server forwards only"):
        check("Search", search_params=params, unknown=UnknownParameters.REFUSE)


@pytest.mark.parametrize(
    "text",
    [
        '{"namespace": "a"}',
        '{"name\\u0073pace": "a"}',
        '{"ef": 1, "more": {"tenant": "a"}}',
        '[{"skip_rls": true}]',
    ],
)
def test_names_in_the_json_of_a_parameter_are_judged_too(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not accepted"):
        check("Search", search_params=pairs(params=text))
    with pytest.raises(InvalidArgument, match="is not accepted"):
        check("HybridSearch", requests=[{"search_params": pairs(params=text)}])


def test_json_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="too deep"):
        check("Search", search_params=pairs(params='{"a":' * 100_000))


def test_what_is_not_json_is_the_engines_to_refuse() -> None:
    check("Search", search_params=pairs(params="namespace"))


@pytest.mark.parametrize(("operation", "what"), [("AlterDatabase", "database"), ("AlterCollection", "collection")])
def test_properties_are_checked_where_they_are_set_and_where_they_are_deleted(operation: str, what: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{what} property `namespace.enabled`"):
        check(operation, properties=pairs(**{"namespace.enabled": "true"}))
    with pytest.raises(InvalidArgument, match=f"{what} property `namespace.enabled`"):
        check(operation, delete_keys=["namespace.enabled"])


def test_properties_about_row_policies_are_of_collections_alone_where_they_are_checked_elsewhere() -> None:
    properties = pairs(**{"rls.enabled": "true"})
    check("AlterCollection", properties=properties, delete_keys=["rls.force"], unknown=UnknownParameters.REFUSE)
    check("CreateCollection", properties=properties)
    for operation in ("AlterDatabase", "CreateDatabase", "AlterCollectionField"):
        with pytest.raises(InvalidArgument, match=r"`rls\.enabled` is not accepted"):
            check(operation, properties=properties)


def test_an_error_repeats_little_of_a_name() -> None:
    with pytest.raises(InvalidArgument) as refusal:
        check("Search", search_params=pairs(**{"tenant" * 1_000: "x"}))
    assert len(str(refusal.value)) < 250


def test_known_names_are_names() -> None:
    for parameters in PARAMETERS:
        assert parameters.known
        assert all(name.replace(".", "").replace("_", "").isalnum() for name in parameters.known)


async def test_nobody_is_told_of_parameters_before_the_decision(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    await harness.user("bob")
    search = {"collection_name": "docs", "search_params": pairs(namespace="x")}
    with pytest.raises(InvalidArgument):
        await harness.call("Search", **search)
    with pytest.raises(Exception, match="permission deny"):
        await harness.call("Search", by="bob", **search)
    assert not engine.called("Search")
