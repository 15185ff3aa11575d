"""What the server writes to its log: a line for people on a terminal, a JSON object a line for everything else.

All modules log with the standard library. Every line that is written while a request is handled carries its id.
No text can forge a line: in JSON everything beyond ASCII and every control character is escaped, on a
terminal control characters are, and the lines of a traceback are marked. Tracebacks show no values of variables.
"""

import logging
import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO

Level = Literal["debug", "info", "warning", "error"]
"""From which level on our own lines are written."""

LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")

REQUEST_ID: Final = "request_id"
"""The name of a request's id in a line, and in the `extra` of a record that comes from another process."""

_MESSAGE: Final = "message"
_WORKER: Final = "worker"
_FIRST: Final = ("time", "level", "logger", _MESSAGE, _WORKER, REQUEST_ID, "exception")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MARK: Final = "    | "

Event = MutableMapping[str, Any]

_request: Final[ContextVar[str]] = ContextVar("request", default="")


def bind_request_id(request_id: str) -> None:
    """Add the id of a request to every line that is written in this context from now on."""
    _request.set(request_id)


def current_request() -> str:
    """Return the id of the request that is handled in this context, or empty."""
    return _request.get()


def start(stream: TextIO, *, worker: int | None = None) -> None:
    """Write everything that is logged in this process to a stream, our own lines from `info` on.

    Libraries are logged from `warning` on, whatever the level: below it some of them log what callers send.

    Args:
        stream: where to write.
        worker: the number of this worker, which every line carries; None for the only process of a server.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(for_people=stream.isatty(), worker=worker))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=worker is not None)
    logging.captureWarnings(True)
    set_level("info")


def set_level(level: Level) -> None:
    """Write our own lines from a level on."""
    logging.getLogger("kiteward").setLevel(level.upper())


def formatter(*, for_people: bool, worker: int | None = None) -> logging.Formatter:
    """Return the formatter that turns a record into a line, of a worker with this number if one is given."""
    # Loaded here: everybody needs the id of a request, and a server alone writes a log.
    import structlog  # noqa: PLC0415
    from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name  # noqa: PLC0415

    encoded = structlog.processors.JSONRenderer()

    def json_line(logger: Any, name: str, event: Event) -> str | bytes:
        return encoded(logger, name, {key: event[key] for key in _FIRST if key in event})

    def add_worker(_logger: Any, _name: str, event: Event) -> Event:
        if worker is not None:
            event[_WORKER] = worker
        return event

    return ProcessorFormatter(
        foreign_pre_chain=[
            _add_request,
            add_worker,
            ExtraAdder(allow={REQUEST_ID}),
            add_log_level,
            add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer(_MESSAGE),
            _line if for_people else json_line,
        ],
    )


def _add_request(_logger: Any, _name: str, event: Event) -> Event:
    request_id = _request.get()
    if request_id:
        event[REQUEST_ID] = request_id
    return event


def _line(_logger: Any, _name: str, event: Event) -> str:
    line = f"{event['time']} {event['level']:<8}{event['logger']}: {_visible(str(event[_MESSAGE]))}"
    if _WORKER in event:
        line += f" [worker {event[_WORKER]}]"
    if REQUEST_ID in event:
        line += f" [request {_visible(str(event[REQUEST_ID]))}]"
    marked = [f"{_MARK}{_visible(each)}" for each in str(event.get("exception", "")).split("\n") if each]
    return "\n".join([line, *marked])


def _visible(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
