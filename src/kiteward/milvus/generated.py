"""The protocol's generated modules, from the files of pymilvus, without importing pymilvus.

`pymilvus/__init__` imports its client, and with it pandas, NumPy and gRPC: 110 MiB that a server has no use for. This
module is a package whose submodules are those files. Where pymilvus is imported after all, its own generated modules
have the same message classes: the runtime makes one class for each descriptor.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

__all__ = ["common_pb2", "milvus_pb2", "rg_pb2", "schema_pb2"]

if TYPE_CHECKING:
    from pymilvus.grpc_gen import common_pb2, milvus_pb2, rg_pb2, schema_pb2
else:
    _pymilvus = find_spec("pymilvus")
    if _pymilvus is None:
        raise ImportError("pymilvus, which carries the generated code, is not installed")
    __path__ = [str(Path(folder) / "grpc_gen") for folder in _pymilvus.submodule_search_locations]
