"""SCIM 2.0 (RFC 7644) at `/scim/v2`: HTTP to the operations of `kiteward.iam.json_api.scim`, and back.

`service` finds the operation of a request, `requests` reads its query, headers and body, `responses` writes resources
and errors, `discovery` describes what is offered.
"""
