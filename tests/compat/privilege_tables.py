"""The tables of the smallest sets of privileges, as docs/compatibility.md has them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.compat.privilege_trials import BYSTANDER, Job, Readings

_COMPAT: Final = Path(__file__).parent
_REQUIREMENTS: Final = _COMPAT.parents[1] / "requirements"


def locked(lock: str, package: str) -> str:
    """Return a Python package with its version in a lock."""
    text = (_REQUIREMENTS / f"{lock}.lock").read_text(encoding="utf-8")
    return f"`{package}` " + _version(rf"^{package}==(\S+)", text)


def npm(directory: str, package: str) -> str:
    """Return a package of npm with its version."""
    wanted = json.loads((_COMPAT / directory / "package.json").read_text(encoding="utf-8"))["dependencies"][package]
    return (
        f"`@zilliz/milvus2-sdk-node` {wanted.rpartition('@')[2]}" if "sdk-node" in package else f"`{package}` {wanted}"
    )


def module(directory: str, name: str) -> str:
    """Return a module of Go with its version."""
    text = (_COMPAT / directory / "go.mod").read_text(encoding="utf-8")
    return f"`{name}` " + _version(rf"^(?:require )?\s*{re.escape(name)} v(\S+)", text)


def maven(artifact: str) -> str:
    """Return an artifact of Java with its version."""
    text = (_COMPAT / "java" / "pom.xml").read_text(encoding="utf-8")
    return f"`{artifact}` " + _version(rf"<artifactId>{artifact}</artifactId>\s*<version>(.*?)<", text)


def _version(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, pattern
    return found[1]


def table(titles: Mapping[str, str], sdk: tuple[Job, ...], readings: Mapping[str, Readings]) -> str:
    """Return what was found, as three tables.

    Args:
        titles: what each program is called, with its version.
        sdk: the jobs that are the same for every SDK.
        readings: what each program has shown.
    """
    names = {job.name for job in sdk}
    frameworks = [
        name for name, each in readings.items() if not {trial.job.name for trial in each.trials.values()} >= names
    ]
    lines = ["| framework | job | smallest set | shown without it |", "| --- | --- | --- | --- |"]
    for name in frameworks:
        lines += [f"| {titles[name]} | {row} |" for row in _rows(readings[name])]
    tried = ", ".join(titles[name] for name in readings if name not in frameworks)
    lines += [
        "",
        f"The same for every SDK, on the collection alone: {tried}.",
        "",
        "| job | smallest set |",
        "| --- | --- |",
    ]
    lines += [f"| {job.name} | {', '.join(job.needs) or 'any privilege on it'} |" for job in sdk]
    lines += ["", "| job | shows, without any privilege on the collection | programs |", "| --- | --- | --- |"]
    alike: dict[str, list[str]] = {}
    for name, each in readings.items():
        for row in _hidden(name, each):
            alike.setdefault(row, []).append(titles[name])
    lines += [f"| {row} | {', '.join(programs)} |" for row, programs in alike.items()]
    return "\n".join(lines)


def _rows(readings: Readings) -> Iterator[str]:
    for job in dict.fromkeys(trial.job.name for trial in readings.trials.values()):
        trials = [trial for trial in readings.trials.values() if trial.job.name == job]
        needs = ", ".join(trials[0].job.needs) + (" (on `*`)" if trials[0].job.everywhere else "")
        missing = {trial.missing: readings.shown(trial.key) for trial in trials if trial.missing}
        odd = {shown for privilege, shown in missing.items() if f"Privilege{privilege}: permission deny" not in shown}
        yield f"{job} | {needs} | {', '.join(f'`{shown}`' for shown in sorted(odd)) or 'the refusal'}"


def _hidden(name: str, readings: Readings) -> Iterator[str]:
    for key, trial in readings.trials.items():
        if key.endswith("hidden"):
            shown = readings.shown(key).replace(name, "c").replace(BYSTANDER, "another")
            named = re.search(r"Privilege\w+: permission deny", shown)
            yield f"{trial.job.name} | `{named[0] if named else shown}`"
