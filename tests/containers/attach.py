"""Runs in the container in place of the runtime's bootstrap: wait for a debugger, then start the runtime."""

import os
import runpy
import sys
from pathlib import Path

import debugpy

debugpy.listen(("0.0.0.0", int(os.environ["DEBUG_PORT"])))
print("Waiting for a debugger", file=sys.stderr, flush=True)
debugpy.wait_for_client()
bootstrap = Path("/var/runtime/bootstrap.py")
if bootstrap.is_file():
    runpy.run_path(str(bootstrap), run_name="__main__")
else:
    sys.argv = ["awslambdaric", os.environ["_HANDLER"]]
    runpy.run_module("awslambdaric", run_name="__main__")
