"""Row policies in requests to collections that have them (decisions 0044 and 0045).

- `access`: decides how they bear on an authorized request, by the same snapshot as its privileges.
- `reading`: rewrites reads, so that they find only rows that the caller may see.
- `read_rules`: what a read may contain.
- `responses`: removes from responses what would say something about other rows.
- `writing`: executes inserts, upserts and deletes, each after its check, while nobody else writes to the collection.
- `write_checks`: the rules for rows that are written; `deletes`: the rows that are deleted.
- `fields`, `columns`, `stored_rows`: the values that the rules are about; `verdicts`: what a rule says of them.
- `counting`: how many rows a rule allows, for previews.
- `locks`: who may write to a collection at a time.
"""
