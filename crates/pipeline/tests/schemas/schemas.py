"""The cases of the JSON Schema Test Suite for draft 2020-12 as JSON, one list, from an archive that contains the suite.

Those for `format` as an assertion are left out: in this draft, it is an annotation.
"""

import glob
import json
import os
import tarfile

cases = []
here = os.path.dirname(os.path.abspath(__file__))
with tarfile.open(glob.glob(os.path.join(here, "jsonschema-*.tar.gz"))[0]) as archive:
    for member in sorted(archive.getmembers(), key=lambda member: member.name):
        _, found, name = member.name.partition("/json/tests/draft2020-12/")
        if not found or not name.endswith(".json") or name.startswith("optional/format/"):
            continue
        for group in json.load(archive.extractfile(member)):
            for test in group["tests"]:
                cases.append({
                    "path": [name.removesuffix(".json"), group["description"], test["description"]],
                    "schema": group["schema"], "data": test["data"], "valid": test["valid"],
                })
print(json.dumps(cases))
