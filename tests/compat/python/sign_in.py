"""Signs in with tokens by pymilvus, searches and lists: python sign_in.py HOST:PORT COLLECTION.

Each line of the standard input is a token. For each, a client of its own searches the collection for its first row and
lists what it may see, and one line of JSON says what it got, or the sentence by which it was refused.
"""

import json
import logging
import sys
import time
from typing import Any

import grpc
from pymilvus import MilvusClient, MilvusException

ADDRESS, COLLECTION = sys.argv[1:3]
WITHIN = 30.0

logging.disable(logging.CRITICAL)


def sign_in(token: str) -> dict[str, Any]:
    """Return what the holder of a token gets."""
    client = None
    try:
        client = MilvusClient(uri=f"http://{ADDRESS}", token=token, dedicated=True, timeout=WITHIN)
        found = client.search(COLLECTION, data=[[1.0, 0.0, 0.0, 0.0]], limit=1, timeout=WITHIN)
        listed = client.list_collections(timeout=WITHIN)
        return {"found": [each["id"] for each in found[0]], "collections": sorted(listed)}
    except grpc.RpcError as error:
        return {"refused": f"{error.code().name}: {error.details()}"}
    except MilvusException as error:
        return {"refused": f"{error} {error.__cause__ or ''}".strip()}
    finally:
        if client is not None:
            client.close()


for line in sys.stdin:
    begun = time.perf_counter()
    seen = sign_in(line.rstrip("\n"))
    print(json.dumps({**seen, "seconds": time.perf_counter() - begun}), flush=True)
