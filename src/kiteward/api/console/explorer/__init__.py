"""The data explorer: collections with their schema and rows, vector search, and what changes collections.

- `place.py`: the collection of a page, and what its reader may do with it.
- `databases.py`: the collections of a database, and the pages of databases.
- `schema.py`: the page of a collection.
- `rows.py`, `one_row.py`, `deleting.py`: its rows, one of them in full, and deleting them.
- `asked.py`, `reading.py`: what a page of rows shows, and reading it by primary key or sorted.
- `search.py`, `search_parameters.py`: the rows nearest to a vector, and the parameters of its index.
- `cells.py`: values as text of bounded length.
- `insert.py`, `changes.py`, `create.py`: inserting rows; loading, dropping, aliases, partitions; new collections.

Everything is asked of the gateway as the signed-in user. What that user may do decides which buttons there are; the
gateway decides every request.
"""
