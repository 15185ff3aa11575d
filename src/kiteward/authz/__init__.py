"""Authorization: what a principal may do. Pure functions of their arguments.

- `model.py`: roles, grants and privilege groups as they are stored.
- `privileges.py`: Milvus' privileges with their object types and levels, and the built-in groups.
- `granted_masks.py`: what one grant allows, as masks of privileges.
- `compiled_role.py`, `policy.py`: the compiled policy, and the decision.
- `row_policies.py`, `row_binding.py`: which rows of a collection a principal may touch.
- `explanation.py`: which grants allow something, and what would allow it.

Standard library, `kiteward.domain` and `kiteward.filters` only: no I/O, no clock, no store, no messages.
"""
