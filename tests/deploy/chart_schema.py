"""The part of the chart's `values.schema.json` that comes from the settings: `config`, with a type for every key.

`make settings-table` writes it; `tests/unit/deploy/test_chart.py` fails where it is not written.
"""

import json
from pathlib import Path
from typing import Any, Final

from kiteward.config.key import Key
from kiteward.config.keys import KEYS
from kiteward.config.kinds import Choice, Flag, Names, Number
from kiteward.config.oidc_keys import ENTRY_KEYS, OIDC

CHART: Final = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "kiteward"
SCHEMA: Final = CHART / "values.schema.json"

SET_BY_THE_CHART: Final = frozenset(
    {
        "common.security.tlsMode",
        "kiteward.dataDir",
        "kiteward.engine.passwordFile",
        "kiteward.engine.tls.ca",
        "kiteward.engine.tls.certificate",
        "kiteward.engine.tls.key",
        "kiteward.host",
        "kiteward.metrics.enabled",
        "kiteward.metrics.host",
        "kiteward.metrics.port",
        "kiteward.replicas.lease",
        "kiteward.replicas.name",
        "kiteward.store.passwordFile",
        "kiteward.store.url",
        "kiteward.workers",
        "proxy.port",
        "tls.caPemPath",
        "tls.serverKeyPath",
        "tls.serverPemPath",
    }
)
"""Keys that have values of the chart in place of `config`."""


def configurable() -> list[Key[Any]]:
    """Return the keys that `config` may have: those that are neither secret nor set by the chart.

    Of identity providers, secrets alone are not: they are given by files.
    """
    return [key for key in KEYS if (key is OIDC or not key.secret) and key.name not in SET_BY_THE_CHART]


def config_schema() -> dict[str, Any]:
    """Return the schema of `config`."""
    root: dict[str, Any] = {
        "type": "object",
        "description": "The configuration, as in a milvus.yaml.",
        "properties": {},
    }
    described = {key.name: {**_type_of(key), "description": key.meaning} for key in configurable()}
    for key_name in sorted({key.name for key in KEYS} | SET_BY_THE_CHART):
        here = root
        *sections, name = key_name.split(".")
        for section in sections:
            empty = {"type": "object", "properties": {}, "additionalProperties": False}
            here = here["properties"].setdefault(section, empty)
        if key_name in described:
            here["properties"][name] = described[key_name]
    # Sections of a milvus.yaml that belong to Milvus alone are ignored.
    return {**root, "additionalProperties": True}


def _type_of(key: Key[Any]) -> dict[str, Any]:
    kind = key.kind
    if key is OIDC:
        entry = {"type": "object", "properties": {each.name: not each.secret for each in ENTRY_KEYS}}
        return {"type": "array", "items": {**entry, "additionalProperties": False}}
    if isinstance(kind, Flag):
        return {"type": "boolean"}
    if isinstance(kind, Number):
        return {"type": "integer", "minimum": kind.least, **({} if kind.most is None else {"maximum": kind.most})}
    if isinstance(kind, Choice):
        return {"enum": list(kind.choices)}
    return {"type": "array", "items": {"type": "string"}} if isinstance(kind, Names) else {"type": "string"}


def with_config(schema: str) -> str:
    """Return the schema of the chart's values with its part for `config` written again."""
    document = json.loads(schema)
    document["properties"]["config"] = config_schema()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(with_config(SCHEMA.read_text("utf-8")), "utf-8")
