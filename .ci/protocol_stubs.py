"""Writes stubs/: types of the protocol's generated code, for mypy.

The generated code that pymilvus carries has no types that mypy would read. mypy-protobuf makes them from the message
descriptors of the pinned pymilvus; `make stubs` runs it, and `--check` fails where stubs/ is not what it makes.
"""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorProto

PACKAGE: Final = "pymilvus.grpc_gen"
MODULES: Final = ("common_pb2", "schema_pb2", "feder_pb2", "msg_pb2", "rg_pb2", "milvus_pb2")
STUBS: Final = Path(__file__).resolve().parents[1] / "stubs"
UNTYPED: Final = "from typing import Any\n\ndef __getattr__(name: str) -> Any: ...\n"
"""A module of which mypy knows no names, and lets any be used."""


def generated() -> dict[Path, str]:
    """Return path -> text of every stub.

    Raises:
        ValueError: mypy-protobuf has refused a descriptor.
    """
    request = CodeGeneratorRequest()
    moved = {}
    for name in MODULES:
        file = importlib.import_module(f"{PACKAGE}.{name}").DESCRIPTOR
        moved[file.name] = f"{PACKAGE.replace('.', '/')}/{name.removesuffix('_pb2')}.proto"
        file.CopyToProto(request.proto_file.add())
    for proto in request.proto_file:
        _move(proto, moved)
        request.file_to_generate.append(proto.name)
    for needed in sorted({each for proto in request.proto_file for each in proto.dependency} - set(moved.values())):
        _well_known(needed).CopyToProto(request.proto_file.add())
    plugin = Path(sys.executable).with_name("protoc-gen-mypy")
    asked = request.SerializeToString()
    made = subprocess.run([plugin], input=asked, capture_output=True, check=True)  # noqa: S603  a tool of ours
    response = CodeGeneratorResponse.FromString(made.stdout)
    if response.error:
        raise ValueError(response.error)
    package = Path(PACKAGE.replace(".", "/"))
    others = {
        Path("pymilvus/__init__.pyi"): UNTYPED,
        package / "milvus_pb2_grpc.pyi": UNTYPED,
        package / "__init__.pyi": "".join(
            f"from . import {name} as {name}\n" for name in (*MODULES, "milvus_pb2_grpc")
        ),
    }
    return {STUBS / name: text for name, text in (others | {f.name: f.content for f in response.file}).items()}


def _move(proto: FileDescriptorProto, moved: dict[str, str]) -> None:
    """Name a file, and those that it imports, as the Python modules are named."""
    proto.name = moved[proto.name]
    for index, dependency in enumerate(proto.dependency):
        proto.dependency[index] = moved.get(dependency, dependency)
    # Serialised descriptors carry no comments; the plugin expects the table all the same.
    proto.ClearField("source_code_info")


def _well_known(name: str) -> object:
    module = name.removesuffix(".proto").replace("/", ".") + "_pb2"
    return importlib.import_module(module).DESCRIPTOR


def main() -> int:
    """Write the stubs, or with `--check` compare them. Return the exit status."""
    wanted = generated()
    present = {path: path.read_text("utf-8") for path in STUBS.rglob("*.pyi")}
    if "--check" in sys.argv[1:]:
        return int(wanted != present)
    for path in present.keys() - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
