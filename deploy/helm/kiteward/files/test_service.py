"""Asks the service for a list without a credential; it must be refused as Milvus refuses."""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

url = os.environ["SERVICE"] + "/v2/vectordb/collections/list"
request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})  # noqa: S310  http or https
# Whether the certificate is right for this name is for clients to check: the test has no authority to trust.
context = ssl._create_unverified_context()  # noqa: S323, SLF001
context.set_alpn_protocols(["http/1.1"])
try:
    with urllib.request.urlopen(request, timeout=10, context=context) as response:  # noqa: S310
        answer = json.load(response)
except urllib.error.HTTPError as error:
    answer = json.load(error)
print(answer)
MISSING_CREDENTIAL = 1800
sys.exit(answer.get("code") != MISSING_CREDENTIAL)
