"""Functions that make a remote Milvus call a model provider: what operator and request must say (decision 0050).

The operator lists providers, and for each the address that a request may name. A request that carries such a function
needs the privilege CallProvider besides its own. Keys are in the configuration of Milvus, and never in a request.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway import outbound
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.gateway.settings import Providers
from kiteward.milvus import messages

_SHOWN: Final = 64
"""Most characters of a refused name that the error repeats."""

_TEXT_EMBEDDING: Final = 2
_RERANK: Final = 3
_PROVIDER: Final = "provider"
_MODEL: Final = "model_name"
_ADDRESSES: Final = ("endpoint", "url", "base_url")
_ACCEPTED: Final = frozenset(
    (
        *(_PROVIDER, _MODEL, *_ADDRESSES, "credential", "reranker", "queries", "dim", "user", "task", "normalize"),
        *("truncate", "truncation", "truncation_direction", "truncate_prompt_tokens", "max_tokens_per_doc"),
        *("max_chunks_per_doc", "overlap_tokens", "max_client_batch_size", "ingestion_prompt", "search_prompt"),
    )
)
"""Parameters of these functions. Those that are a part of a host name (`region`, `location`, ...) are not accepted."""

_KEY: Final = re.compile(r"key|token|secret|passw|auth|integration_id", re.IGNORECASE)
"""Names of parameters that hold a key."""

_MODEL_NAME: Final = re.compile(r"(?!.*(\.\.|//))[A-Za-z0-9][A-Za-z0-9._:@/-]*")
"""Providers put it into the path of the address, so that it may not lead out of there."""


def function_paths(paths: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the fields of an RPC's request that hold functions.

    Args:
        paths: what the request holds; see `messages.paths_in`.
    """
    return tuple(paths.get(outbound.FUNCTION, ()))


def are_called(paths: Sequence[str], fields: Mapping[str, Any]) -> bool:
    """Return whether a request carries a function that calls a provider.

    Args:
        paths: the fields of its RPC that hold functions.
        fields: the fields that were read from it.
    """
    for path in paths:
        kinds = fields[f"{path}.type"]
        if kinds == _TEXT_EMBEDDING or (isinstance(kinds, list) and _TEXT_EMBEDDING in kinds):
            return True
        if _PROVIDER in fields[f"{path}.params.key"]:
            return True
    return False


def check(operation: str, paths: Sequence[str], resolved: ResolvedRequest, allowed: Providers) -> bool:
    """Check the functions of a request that calls a provider. It must be called after the decision.

    Args:
        operation: name of the RPC.
        paths: the fields of its request that hold functions.
        resolved: the request.
        allowed: what the operator lists.

    Returns:
        Whether its functions were checked. They were not if none calls a provider or the operator lists none, and the
        rules of `outbound` apply to them.

    Raises:
        InvalidArgument: a function names a provider, an address or a parameter that is not allowed, or holds a key. The
            error repeats no value but the name of the provider.
    """
    if not (allowed and are_called(paths, resolved.fields)):
        return False
    request = messages.decode(operation, resolved.payload)
    for path in paths:
        for function in _at(request, path.split(".")):
            _check_function(function, allowed)
    return True


def _at(message: Any, parts: Sequence[str]) -> Iterator[Any]:
    """Yield the messages at a path, also inside serialised ones."""
    if not parts:
        yield message
        return
    kind = messages.serialised_in(type(message)).get(parts[0])
    value = getattr(message, parts[0])
    for each in value if message.DESCRIPTOR.fields_by_name[parts[0]].is_repeated else (value,):
        yield from _at(messages.read_request(kind, each) if kind is not None else each, parts[1:])


def _check_function(function: Any, allowed: Providers) -> None:
    keys = [pair.key for pair in function.params]
    if function.type != _TEXT_EMBEDDING and not (function.type == _RERANK and _PROVIDER in keys):
        outbound.check_function(function.type, keys)
        return
    for key in keys:
        _check_parameter(key, keys)
    given = {pair.key: pair.value for pair in function.params}
    provider = given.get(_PROVIDER, "")
    named = [given[key] for key in _ADDRESSES if key in given]
    if provider not in {name for name, _ in allowed}:
        raise InvalidArgument(
            f"provider `{provider[:_SHOWN]}` is not accepted: name one that kiteward.engine.providers lists",
            ErrorDetail(ErrorCode.PROVIDER_NOT_LISTED, {"name": provider[:_SHOWN]}),
        )
    if len(named) > 1 or (provider, "".join(named)) not in allowed:
        raise InvalidArgument(
            f"the address of the provider `{provider}` is not accepted: name one that kiteward.engine.providers lists "
            "for it, in the same characters; or none, if it lists the provider without an address",
            ErrorDetail(ErrorCode.PROVIDER_ADDRESS_NOT_LISTED, {"name": provider}),
        )
    if _MODEL in given and _MODEL_NAME.fullmatch(given[_MODEL]) is None:
        raise InvalidArgument(
            f"`{_MODEL}` is not accepted: letters, digits and . _ : @ / - are, without .. and //",
            ErrorDetail(ErrorCode.PARAMETER_NOT_ACCEPTED, {"name": _MODEL}),
        )


def _check_parameter(key: str, keys: Sequence[str]) -> None:
    """Refuse a parameter of a function that calls a provider unless it is known, is given once, and holds no key."""
    shown = key[:_SHOWN]
    if key in _ACCEPTED and keys.count(key) == 1:
        return
    if key not in _ACCEPTED and _KEY.search(key):
        raise InvalidArgument(
            f"function parameter `{shown}` is not accepted: no request may hold a provider's key; name one of Milvus' "
            "configuration with `credential`",
            ErrorDetail(ErrorCode.PROVIDER_KEY_IN_REQUEST, {"name": shown}),
        )
    why = "it is given twice" if key in _ACCEPTED else "it is not known of a provider, or would change its address"
    raise InvalidArgument(
        f"function parameter `{shown}` is not accepted: {why}; leave it out",
        ErrorDetail(ErrorCode.PARAMETER_NOT_ACCEPTED, {"name": shown}),
    )
