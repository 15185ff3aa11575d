"""The RPCs that Kiteward executes itself: users, roles, grants, privilege groups, backup, and about the server.

Each handler decodes a message, calls a service of `kiteward.iam`, replaces the texts of its errors by those of Milvus
where they differ, and encodes the response. No rule of identity management belongs here.
`kiteward.gateway.operations.identity` names each handler in the row of its RPC.
"""
