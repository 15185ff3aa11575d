"""What a client does with a container, in its network: `python image_client.py PASSWORD-FILE`."""

import sys
from pathlib import Path

from pymilvus import MilvusClient, MilvusException

URI = "http://127.0.0.1:19530"


def main() -> None:
    """Search, in a collection that is made if it is not there yet; and be refused with a wrong password."""
    root = MilvusClient(uri=URI, token=f"root:{Path(sys.argv[1]).read_text()}", timeout=120)
    if not root.has_collection("docs"):
        root.create_collection("docs", dimension=2)
        root.insert("docs", [{"id": 1, "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}])
    ((nearest,),) = root.search("docs", [[0.9, 0.1]], limit=1)
    assert nearest["id"] == 1
    try:
        MilvusClient(uri=URI, token="root:Milvus", timeout=120)
    except MilvusException as error:
        assert "auth check failure" in str(error), error
    else:
        raise AssertionError("the default password is accepted")


if __name__ == "__main__":
    main()
