"""Sends signed requests to a hook: python sign.py <url> <secret>"""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook

URL, SECRET = sys.argv[1:]


def send(id, body, at=None, signed=None, by=SECRET):
    at = at or datetime.now(timezone.utc)
    signature = Webhook(by).sign(id, at, body if signed is None else signed)
    headers = {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    request = urllib.request.Request(URL, body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


body = json.dumps({"from": "PyPI", "text": "Grüße 🐙\n"}, ensure_ascii=False)
status, received = send("pypi-1", body)
assert status == 202 and received["event"], (status, received)
assert send("pypi-1", body) == (202, {"event": None})
now, hour = datetime.now(timezone.utc), timedelta(hours=1)
for changes in [{"signed": "{}"}, {"by": "whsec_AAAA"}, {"at": now - hour}, {"at": now + hour}]:
    status, problem = send("pypi-2", body, **changes)
    assert (status, problem["code"]) == (401, "hook-refused"), (changes, status, problem)
print("all is well")
