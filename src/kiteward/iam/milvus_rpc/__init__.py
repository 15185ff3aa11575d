"""The RPCs that Kiteward answers itself: users, roles, grants, privilege groups, backup, and who the server is.

Each handler decodes a message, calls a service of `kiteward.iam`, gives its errors the texts of Milvus where these
differ, and encodes the response. No rule of identity management belongs here.
`kiteward.gateway.operations.identity` names each handler in the row of its RPC.
"""
