"""`kiteward row-policies`: row policies of a running server.

Policies are checked against the fields of their collection, and previews count rows. So these commands need the engine,
which only a server has.
"""

from typing import Any, Final

from kiteward.cli.commands import Command, Demand, add_group
from kiteward.cli.output import table

_PLACE: Final = ("dbName",)
_POLICY: Final = (*_PLACE, "actions", "policyType", "roles", "usingExpr", "checkExpr", "description")
_NAMED: Final = ("collectionName", "policyName")


def _protected(answer: Any) -> str:
    state = "not enforced"
    if answer["enabled"]:
        state = "enforced, also on administrators" if answer["force"] else "enforced"
    lines = [f"{answer['dbName']}.{answer['collectionName']}: {state}"]
    if answer["policies"]:
        shown = [
            {
                "policy": each["policyName"],
                "type": each["policyType"].lower(),
                "actions": each["actions"],
                "roles": each["roles"] or "everybody",
                "using": each["usingExpr"] or None,
                "check": each["checkExpr"] or None,
            }
            for each in answer["policies"]
        ]
        lines.append(table(shown))
    lines += [f"fault of {each['policyName']}: {each['fault']}" for each in answer["policies"] if each["fault"]]
    lines += [f"warning: {_sentence(each)}" for each in answer["warnings"]]
    return "\n".join(lines)


def _previewed(answer: Any) -> str:
    who = answer["userName"] if answer["keyId"] is None else f"the API key {answer['keyId']}"
    through = [
        each["policyName"] for each in answer["policies"] if each["policyType"] == "PERMISSIVE" and each["rows"] != 0
    ]
    ending = ""
    if answer["bypassed"]:
        ending = ": row policies do not apply to it"
    elif answer["visibleRows"]:
        ending = f", through {', '.join(through)}"
    lines = [f"by {answer['action']}, {who} reaches {answer['visibleRows']:,} of {answer['totalRows']:,} rows{ending}"]
    for each in answer["policies"]:
        verb = "shows" if each["policyType"] == "PERMISSIVE" else "takes away"
        rows = (
            "rows that were not counted" if each["rows"] is None else f"{each['rows']:,} row{'s' * (each['rows'] != 1)}"
        )
        lines.append(f"  {each['policyName']} {verb} {rows}")
    if answer["keys"]:
        lines.append(table(answer["keys"]))
    if not answer["enabled"]:
        lines.append("warning: the row policies are not enforced; this is what would hold if they were")
    lines += [f"warning: {answer['action']} is refused altogether: {_sentence(each)}" for each in answer["refusal"]]
    return "\n".join(lines)


def _sentence(detail: Any) -> str:
    from kiteward.api.console.language import DEFAULT, catalogues  # noqa: PLC0415  only warnings need the sentences

    return catalogues()[DEFAULT](f"reason.{detail['code']}", **detail["parameters"])


def _command(
    word: str, text: str, *, names: tuple[str, ...], options: tuple[str, ...], demands: tuple[Demand, ...] = ()
) -> Command:
    shown = _previewed if word == "preview" else _protected
    return Command(
        word,
        f"kiteward/row_policies/{word}",
        text,
        names=names,
        options=options,
        demands=demands,
        needs_server=True,
        text=shown,
    )


POLICIES: Final = (
    _command("list", "list row policies", names=("collectionName",), options=_PLACE),
    _command("create", "create a row policy", names=_NAMED, options=_POLICY),
    _command("update", "replace a row policy", names=_NAMED, options=_POLICY),
    _command("drop", "drop a row policy", names=_NAMED, options=_PLACE),
    _command(
        "enable",
        "enforce row policies: without a permissive policy, nobody sees a row",
        names=("collectionName",),
        options=(*_PLACE, "force"),
    ),
    _command("disable", "stop enforcing row policies", names=("collectionName",), options=_PLACE),
    _command(
        "preview",
        "count the rows that a user or API key reaches",
        names=("collectionName",),
        options=(*_PLACE, "userName", "keyId", "action", "primaryKeys"),
        demands=(Demand(("userName", "keyId"), least=0),),
    ),
)


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    add_group(commands, "row-policies", POLICIES, "manage and preview row policies, on a running server")
