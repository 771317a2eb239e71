"""Runs the job several times in one process, so that one Java virtual machine serves all: several.py FOLDER-OF-SPARK ARGUMENTS...

Each ARGUMENTS is a list of texts as JSON.
"""
import json
import sys

sys.path.insert(0, sys.argv[1])
import train_als  # noqa: E402

for arguments in sys.argv[2:]:
    sys.argv = ["train_als.py", *json.loads(arguments)]
    train_als.main()
