"""Run the command line: `python -m kiteward`."""

import sys

from kiteward.cli.main import main

sys.exit(main())
