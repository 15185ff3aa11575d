"""Row policies in requests to collections that have them (decision 0044).

- `access`: decides how they bear on an authorized request, by the same snapshot as its privileges.
- `reading`: rewrites reads, so that they find only rows that the caller may see.
- `read_rules`: what a read may contain.
- `responses`: removes from responses what would say something about other rows.
"""
