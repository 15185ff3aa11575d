"""The command line, where processes of ours begin."""

import os

# gRPC's core writes past every logger, in a form of its own. It reads this when it is loaded, so that it stands here.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
