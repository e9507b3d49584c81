"""Runs the flows of a client in Python, `python flows.py NAME list` or with where the endpoints are, as run.mjs does."""

import json
import os
import runpy
import sys
import traceback

name, given = sys.argv[1:]
# By its path: it is called as the package is that it drives.
script = runpy.run_path(os.path.join(os.path.dirname(__file__), "..", name + ".py"))
flows = script["FLOWS"]

if given == "list":
    print(json.dumps({"client": script["CLIENT"], "flows": list(flows)}), flush=True)
else:
    for flow, act in flows.items():
        try:
            act(json.loads(given))
            error = None
        except BaseException:
            error = traceback.format_exc()
        print("\n" + json.dumps({"flow": flow, "error": error}), flush=True)
