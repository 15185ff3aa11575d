"""Makes a backup when a line comes: the imports, which take longest, are done by then.

Prints `ready`, waits for a line, and runs `kiteward` with its arguments.
"""

import sys

from kiteward.bootstrap.backup import making, reading, restoring
from kiteward.cli.main import main
from kiteward.config import loading

_LOADED = (making, reading, restoring, loading)

print("ready", flush=True)
sys.stdin.readline()
sys.exit(main(sys.argv[1:]))
