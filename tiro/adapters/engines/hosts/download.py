"""Fetches a model from the hub into its cache: `python -m tiro.adapters.engines.hosts.download REPOSITORY`.

A process of its own, so that it can be ended.
"""

from __future__ import annotations

import sys

from huggingface_hub import snapshot_download

from tiro.adapters.engines.whisper_models import FILES

if __name__ == "__main__":
    snapshot_download(sys.argv[1], allow_patterns=list(FILES))
