"""What changes a collection: loading, releasing, flushing, renaming, dropping; its aliases and its partitions.

Each has a page that says what it does and asks. What cannot be undone wants the name typed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from kiteward.api.console.explorer.place import Place, open_place, require
from kiteward.api.console.forms import Field, Form, path_below, show
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, EngineLacksOperation, ProtectedObject, RequestRefused
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

_COLLECTION: Final = "collections/{database}/{name}"
_DEFAULT_PARTITION: Final = "_default"
"""The partition that every collection has."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a collection.

    Its texts are `<key>.title`, `<key>.button`, `done.<key>`, and where it changes what there is, `<key>.effect`.

    Attributes:
        path: the path of its page below that of the collection.
        key: the prefix of its texts.
        operation: the RPC.
        message: returns the request of the RPC.
        fields: the names of the fields of its form, which must be filled in.
        typed: the name in the path that has to be typed to confirm, or empty.
        back: returns the path and the parameters of the page to show after it.
        moves: whether the collection has another path afterwards.
        removes: whether it removes something without that its name is typed.
        other: the field that names another collection on which its user needs the privilege too, or empty.
    """

    path: str
    key: str
    operation: str
    message: Callable[[ConsoleRequest, Place], messages.ProtocolMessage]
    fields: Sequence[str] = ()
    typed: str = ""
    back: Callable[[ConsoleRequest, Place], tuple[str, dict[str, str]]] = lambda _request, place: (place.path, {})
    moves: bool = False
    removes: bool = False
    other: str = ""

    def page(self) -> Page:
        """Return the page that asks, and carries out the change."""

        async def ask(request: ConsoleRequest) -> Response:
            return show(request, self._form(request, await self._place(request)))

        async def act(request: ConsoleRequest) -> Response:
            place = await self._place(request)
            errors = self._errors(request)
            if errors:
                return show(request, self._form(request, place), errors)
            try:
                await request.client.call(self.message(request, place))
            except (EngineLacksOperation, RequestRefused) as error:
                where = self.fields[0] if self.fields else ""
                return show(request, self._form(request, place), {where: request.reason(error.details)})
            except AccessDenied:
                if self.other:  # the refusal of an RPC names its database only
                    named = request.form_text(self.other)
                    await require(request, self.operation, database=place.database, collection=named)
                raise
            path, query = self.back(request, place)
            if self.moves:
                return request.stay(path, done=self.key)
            removed = place.path if path == path_below("collections") else ""
            return request.finish(path, done=self.key, removed=removed, **query)

        return Page(f"{_COLLECTION}/{self.path}", ask, act)

    async def _place(self, request: ConsoleRequest) -> Place:
        place = await open_place(request, self.operation)
        if self.typed == "partition" and request.names[self.typed] == _DEFAULT_PARTITION:
            raise ProtectedObject(
                f"the partition {_DEFAULT_PARTITION} cannot be dropped",
                ErrorDetail(ErrorCode.DEFAULT_PARTITION_KEPT, {"name": _DEFAULT_PARTITION}),
            )
        return place

    def _form(self, request: ConsoleRequest, place: Place) -> Form:
        text, names = request.text, request.names
        hints = {name: text(f"field.{name}_hint") for name in self.fields if f"field.{name}_hint" in text.texts}
        fields = [Field(name, hint=hints.get(name, ""), required=True) for name in self.fields]
        return Form(
            text(f"{self.key}.title", **names),
            text(f"{self.key}.button"),
            place.path,
            fields,
            effects=[text(f"{self.key}.effect", **names)] if f"{self.key}.effect" in text.texts else (),
            dangerous=self.removes or bool(self.typed),
            typed=names[self.typed] if self.typed else "",
        )

    def _errors(self, request: ConsoleRequest) -> dict[str, Reason]:
        empty = {name: request.complaint("field.needed") for name in self.fields if not request.form_text(name)}
        if self.typed and request.form_text("typed_name") != request.names[self.typed]:
            return {**empty, "typed_name": request.complaint("typed_name.differs")}
        return empty


def _list(_request: ConsoleRequest, place: Place) -> tuple[str, dict[str, str]]:
    return path_below("collections"), {"database": place.database}


def _renamed(request: ConsoleRequest, place: Place) -> tuple[str, dict[str, str]]:
    return path_below("collections", place.database, request.form_text("new_name")), {}


def _load(_request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.LoadCollectionRequest(db_name=place.database, collection_name=place.name)


def _release(_request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.ReleaseCollectionRequest(db_name=place.database, collection_name=place.name)


def _flush(_request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return messages.FlushRequest(db_name=place.database, collection_names=[place.name])


def _rename(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return messages.RenameCollectionRequest(
        db_name=place.database, oldName=place.name, newName=request.form_text("new_name")
    )


def _drop(_request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return messages.DropCollectionRequest(db_name=place.database, collection_name=place.name)


def _create_alias(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.CreateAliasRequest(
        db_name=place.database, collection_name=place.name, alias=request.form_text("alias")
    )


def _move_alias(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return messages.AlterAliasRequest(
        db_name=place.database, collection_name=request.form_text("target"), alias=request.names["alias"]
    )


def _drop_alias(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.DropAliasRequest(db_name=place.database, alias=request.names["alias"])


def _create_partition(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.CreatePartitionRequest(
        db_name=place.database, collection_name=place.name, partition_name=request.form_text("partition_name")
    )


def _load_partition(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.LoadPartitionsRequest(
        db_name=place.database, collection_name=place.name, partition_names=[request.names["partition"]]
    )


def _release_partition(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.ReleasePartitionsRequest(
        db_name=place.database, collection_name=place.name, partition_names=[request.names["partition"]]
    )


def _drop_partition(request: ConsoleRequest, place: Place) -> messages.ProtocolMessage:
    return milvus_pb2.DropPartitionRequest(
        db_name=place.database, collection_name=place.name, partition_name=request.names["partition"]
    )


_ALIAS: Final = "aliases/{alias}"
_PARTITION: Final = "partitions/{partition}"

CHANGES: Final = (
    Change("load", "explorer_load", "LoadCollection", _load),
    Change("release", "explorer_release", "ReleaseCollection", _release),
    Change("flush", "explorer_flush", "Flush", _flush),
    Change(
        "rename",
        "explorer_rename",
        "RenameCollection",
        _rename,
        ("new_name",),
        back=_renamed,
        moves=True,
        other="new_name",
    ),
    Change("drop", "explorer_drop", "DropCollection", _drop, typed="name", back=_list),
    Change("new-alias", "explorer_new_alias", "CreateAlias", _create_alias, ("alias",)),
    Change(f"{_ALIAS}/move", "explorer_move_alias", "AlterAlias", _move_alias, ("target",), other="target"),
    Change(f"{_ALIAS}/drop", "explorer_drop_alias", "DropAlias", _drop_alias, removes=True),
    Change("new-partition", "explorer_new_partition", "CreatePartition", _create_partition, ("partition_name",)),
    Change(f"{_PARTITION}/load", "explorer_partition_load", "LoadPartitions", _load_partition),
    Change(f"{_PARTITION}/release", "explorer_partition_release", "ReleasePartitions", _release_partition),
    Change(f"{_PARTITION}/drop", "explorer_partition_drop", "DropPartition", _drop_partition, typed="partition"),
)

PAGES: Final = tuple(change.page() for change in CHANGES)
