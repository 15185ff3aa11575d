"""A package, so that servers live as long as the tests here: a Milvus that nobody asks is busy all the same."""
