"""The peer that tells voices apart: pyannote.audio as it comes, in a process that answers like ours (`pyannote_cost` starts it)."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from tiro.adapters.diarizers.pipeline import serve, stock

if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), lambda: stock(sys.argv[2]))
