"""Options that commands share, and the settings they make."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from kiteward.config import Settings, load


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the configuration and the data are."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a milvus.yaml, with our own keys under `kiteward:`"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where everything is kept (default: data)")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of the configuration file with the command line's options over them.

    Raises:
        ConfigurationError: as `load`.
    """
    return replace(load(arguments.config), **given(arguments))


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives."""
    named = {name: getattr(arguments, name, None) for name in ("host", "port", "data_dir")}
    return {name: value for name, value in named.items() if value is not None}
