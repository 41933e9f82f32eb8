"""Runs of five recorded steps with DBOS: prints how many a second.

Arguments: the database's URL, the URL that each step asks (empty: a step only computes), runs, how many at a time.
"""

import http.client
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from dbos import DBOS

database, target, runs, at_once = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
local = threading.local()

DBOS(
    config={
        "name": "bench",
        "system_database_url": database,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def step(number: int) -> int:
    if not target:
        return number + 1
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(urlsplit(target).netloc)
    local.connection.request("GET", "/")
    answer = local.connection.getresponse()
    answer.read()
    return answer.status


@DBOS.workflow()
def five() -> None:
    for number in range(5):
        step(number)


DBOS.launch()
with ThreadPoolExecutor(at_once) as pool:
    list(pool.map(lambda _: five(), range(4 * at_once)))
    began = time.monotonic()
    list(pool.map(lambda _: five(), range(runs)))
    print(runs / (time.monotonic() - began))
DBOS.destroy()
