"""What Milvus 2.3.5 lacks of what tests here need: the tests that fail before it and pass with the embedded engine."""

from collections.abc import Mapping
from typing import Final

VECTORS: Final = "several vectors in a collection, and hybrid searches"
FUNCTIONS: Final = "functions, such as BM25 and rerankers"
TRUNCATION: Final = "truncating a collection, and compaction that is complete at once"
DATABASE: Final = "describing a database"
STRICT: Final = "collections of two vectors without dynamic fields, which refuse unknown ones"
COUNTS: Final = "counts of rows without those that were deleted"
PARTIAL: Final = "partial updates"
TEMPLATES: Final = "templates in filters"
NOTHING: Final = "nothing here: it has resource groups, which the embedded engine does not"

LACKING: Final[Mapping[str, str]] = {
    "test_collections.py::test_collection_with_schema_and_indexes_is_described": VECTORS,
    "test_collections.py::test_hybrid_search_joins_the_results_of_two_vectors": VECTORS,
    "test_collections.py::test_index_is_dropped_and_made_again": VECTORS,
    "test_collections.py::test_flush_truncation_and_compaction_leave_the_right_rows": TRUNCATION,
    "test_collections.py::test_rows_that_do_not_fit_the_schema_are_refused_and_nothing_is_kept": STRICT,
    "test_collections.py::test_databases_keep_collections_apart": DATABASE,
    "test_collections.py::test_what_the_engine_lacks_is_said_with_the_code_of_milvus": NOTHING,
    "test_async_client.py::test_data_calls_answer_as_in_the_plain_client": VECTORS,
    "test_orm_client.py::test_collection_takes_answers_and_forgets_rows": COUNTS,
    "test_confined_users.py::test_call_is_allowed_with_just_its_privilege_and_on_the_named_collection_only": VECTORS,
    "test_older_client.py::test_older_client_finds_all_it_knows[remote-collections_and_data]": VECTORS,
    "test_outbound.py": FUNCTIONS,
    "test_row_policy_writes.py::test_a_partial_update_is_checked_as_the_row_will_be": PARTIAL,
    "test_row_policy_reads.py::test_a_value_of_a_template_stays_a_value": TEMPLATES,
    "test_row_policy_writes.py::test_a_template_of_a_delete_is_filled_before_the_filter_is_joined": TEMPLATES,
    "test_row_policy_reads.py::test_every_part_of_a_hybrid_search_is_filtered": VECTORS,
}
"""Beginning of the name of a test, from its file on -> what it needs."""


def lacking(nodeid: str) -> str:
    """Return what a test needs that Milvus 2.3.5 lacks, or empty."""
    path, _, test = nodeid.partition("::")
    name = f"{path.rpartition('/')[2]}::{test}"
    return next((reason for beginning, reason in LACKING.items() if _begins(name, beginning)), "")


def _begins(name: str, beginning: str) -> bool:
    return name == beginning or name.startswith((f"{beginning}::", f"{beginning}["))
