"""Verifies what a receiver was sent: python verify.py <file of {secrets, requests: [{headers, body}]}>"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

with open(sys.argv[1]) as file:
    sent = json.load(file)
assert sent["secrets"] and sent["requests"]


def refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


for request in sent["requests"]:
    headers, body = request["headers"], request["body"]
    for secret in sent["secrets"]:
        assert Webhook(secret).verify(body, headers) == json.loads(body)
        assert refused(secret, body + " ", headers)
        assert refused(secret, body, {**headers, "webhook-id": "another"})
    assert refused("whsec_AAAA", body, headers)
print(f"{len(sent['requests'])} verified")
