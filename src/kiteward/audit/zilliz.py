"""Lines of a trail in the field names of Zilliz Cloud's audit logs, for programs that read those."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kiteward.audit.reader import Entry

_STATUS: Final[Mapping[str, str]] = {
    "received": "Receive",
    "committed": "Receive",
    "succeeded": "Success",
    "failed": "Failed",
    "refused": "Failed",
}
_INTERFACE: Final[Mapping[str, str]] = {"grpc": "Grpc", "rest": "Restful", "console": "Console", "local": "Local"}
_NOT_ENDED: Final = frozenset({"received", "committed"})
_FAILED: Final = 65535
"""The result of what failed without a code of its own (contract appendix A: unexpected error)."""

_ITS_OWN: Final = frozenset({"seq", "time", "outcome", "chain", "request_id", "operation", "database", "transport"})
"""Fields of a line that an exported line holds under another name."""


def zilliz(entry: Entry, *, cluster_id: str) -> dict[str, Any]:
    """Return a line in the field names of Zilliz Cloud.

    Args:
        entry: the line.
        cluster_id: what to call this server.

    Source: https://docs.zilliz.com/docs/audit-logs-ref.
    """
    params = {name: value for name, value in entry.items() if name not in _ITS_OWN}
    resources = params.pop("resources", [])
    if len(resources) == 1:
        params["collection"] = resources[0]
    elif resources:
        params["collections"] = resources
    exported = {
        "date": entry["time"],
        "action": entry.get("operation", entry["kind"]),
        "cluster_id": cluster_id,
        "database": entry.get("database", ""),
        "interface": _INTERFACE.get(entry.get("transport", ""), ""),
        "log_type": "AUDIT",
        "params": params,
        "status": _STATUS[entry["outcome"]],
        "time": int(datetime.fromisoformat(entry["time"]).timestamp() * 1000),
        "trace_id": entry.get("request_id", ""),
        "user": entry.get("principal", entry.get("presented_user", "")),
    }
    if entry["outcome"] not in _NOT_ENDED:
        exported["result"] = _result(entry)
    return exported


def _result(entry: Entry) -> int:
    if entry["outcome"] == "succeeded":
        return 0
    word, _, code = str(entry.get("error", "")).partition(" ")
    return int(code) if word == "status" and code.isdecimal() else _FAILED
