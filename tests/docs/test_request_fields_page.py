"""The page about the fields of requests says what the operation table says."""

from tests.docs import request_fields_page


def test_page_is_as_the_tables_are() -> None:
    text = request_fields_page.PAGE.read_text("utf-8")
    assert request_fields_page.with_tables(text) == text, "make request-fields"
