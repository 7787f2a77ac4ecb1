"""A child for tests: echoes what it is asked, sleeps on `sleep`, dies on `die`, keeps 64 MiB on `keep`."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing.connection import Connection

from tiro.adapters.diarizers.child import serve_until_orphaned

if __name__ == "__main__":
    serve_until_orphaned()
    connection = Connection(int(sys.argv[1]))
    kept = []
    while True:
        request = connection.recv_bytes()
        if request == b"sleep":
            time.sleep(600)
        if request == b"die":
            os._exit(3)
        if request == b"keep":
            kept.append(b"k" * 64 * 1024**2)
        print("what a library prints goes to the log")
        connection.send_bytes(request + b" " + os.environb.get(b"TOLD", b"") + b" " + sys.argv[2].encode())
