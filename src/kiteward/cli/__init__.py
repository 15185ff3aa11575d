"""The command line of Kiteward: argument parsing, one module for each group of commands."""

import os

# gRPC's core bypasses the loggers and writes lines in its own format. It reads this variable when it is loaded, so that
# it has to be set before any other import.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
