"""For Schemathesis: who calls, real things for paths and bodies to name, and a check that `default` does not blunt.

GATHER_SERVER; GATHER_AS is nobody (the default), agent, or user with GATHER_EMAIL and GATHER_PASSWORD.
GATHER_SIGN_IN=always signs in for each request: for the operations that end sessions.
"""
import base64, collections, itertools, os

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from requests.adapters import HTTPAdapter

SERVER = os.environ.get("GATHER_SERVER", "http://127.0.0.1:3000")
AS = os.environ.get("GATHER_AS", "nobody")
EMAIL, PASSWORD = os.environ.get("GATHER_EMAIL", ""), os.environ.get("GATHER_PASSWORD", "")
ALWAYS = os.environ.get("GATHER_SIGN_IN") == "always"


class Elsewhere(HTTPAdapter):
    """From another loopback address: the wrong passwords of the tests delay even right ones from theirs."""

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=("127.0.0.3", 0), **kwargs)


http = requests.Session()
http.mount("http://", Elsewhere())
numbers = itertools.count()


def call(method, path, token=None, **kwargs):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = http.request(method, SERVER + path, headers=headers, **kwargs)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def name(what):
    return f"{what}-{os.getpid()}-{next(numbers)}"


def public_key(private):
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def fresh_key():
    return public_key(Ed25519PrivateKey.generate())


def agent():
    private = Ed25519PrivateKey.generate()
    made = call("POST", "/api/agents/register", json={"name": name("agent"), "public_key": public_key(private)})
    challenge = call("POST", "/api/agents/challenge", json={"public_key": public_key(private)})["challenge"]
    signature = base64.b64encode(private.sign(challenge.encode())).decode()
    proof = {"public_key": public_key(private), "challenge": challenge, "signature": signature}
    return made["id"], call("POST", "/api/agents/authenticate", json=proof)["access_token"]


def sign_in():
    return call("POST", "/api/sessions", json={"email": EMAIL, "password": PASSWORD})["access_token"]


other, others_token = agent()
me, token = None, {"nobody": lambda: None, "agent": lambda: agent()[1], "user": sign_in}[AS]()
known = {"account": [other], "agent": [other]}
if token:
    me = call("GET", "/api/accounts/me", token)["id"]
    known["team"] = [call("POST", "/api/teams", token, json={"name": name("team")})["id"] for _ in range(4)]
    known["key"] = [call("POST", "/api/keys", token, json={"name": "k", "scopes": []})["id"] for _ in range(4)]
    for team in known["team"]:
        call("PUT", f"/api/teams/{team}/members/{other}", token, json={"role": "member"})
    if AS == "user":
        code = call("POST", f"/api/agents/{other}/claims", token)["code"]
        call("POST", "/api/agents/me/owner", others_token, json={"code": code})

    @schemathesis.auth(refresh_interval=None)
    class Bearer:
        def get(self, case, context):
            return sign_in() if ALWAYS else token

        def set(self, case, data, context):
            case.headers["Authorization"] = "Bearer " + data


# Bodies that the API takes; schemas alone rarely lead to one.
bodies = {
    "agents_register": lambda: {"name": name("fuzz"), "public_key": fresh_key()},
    "agents_rotate_key": lambda: {"public_key": fresh_key(), "signature": base64.b64encode(bytes(64)).decode()},
    "authentication_challenge": lambda: {"public_key": fresh_key()},
    "users_register": lambda: {"name": name("user"), "email": name("u") + "@example.org", "password": "seven red lanterns 42"},
    "users_begin": lambda: {"password": PASSWORD},
    "users_remove": lambda: {"password": PASSWORD},
    "keys_create": lambda: {"name": name("key"), "scopes": ["teams:create"], "expires_at": "2099-01-01T00:00:00Z"},
    "teams_create": lambda: {"name": name("team"), "description": "what for"},
    "teams_put_member": lambda: {"role": "viewer"},
    "accounts_set_roles": lambda: {"roles": ["developer"]},
}
turns = collections.Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw["operationId"]
    turns[operation] += 1
    turn = turns[operation]
    path = case.path_parameters
    if turn % 2:
        for parameter in path or {}:
            if parameter in known:
                path[parameter] = known[parameter][turn // 2 % len(known[parameter])]
    # Each of them ends the tokens of the account that it is done to.
    if operation in ("accounts_suspend", "accounts_reinstate", "accounts_set_roles") and path["account"] == me:
        path["account"] = other
    if ALWAYS and operation == "sessions_end" and turn % 2:
        path["session"] = call("GET", "/api/sessions", sign_in())["items"][0]["id"]
    if turn % 3 == 0 and operation in bodies and case.method == case.operation.method.upper():
        if case.media_type == "application/json":
            case.body = bodies[operation]()


@schemathesis.check
def documented(context, response, case):
    """Every operation has a `default`, so status_code_conformance accepts any status. This one does not."""
    if case.method != case.operation.method.upper() or response.status_code in (403, 429, 503):
        return
    responses = case.operation.definition.raw["responses"]
    assert str(response.status_code) in responses, f"{response.status_code} is documented by `default` only"
