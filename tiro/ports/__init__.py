"""What the core needs from the world. Each Protocol has one contract suite that every adapter passes, fakes included.

content (the store), desk (how clients reach it by themselves) · media (decoding, fetching, posting), audio, speech (engines, diarizers)
records (the database, a transaction at a time), and in it wallets, batches, signing, books (what an audit asks) · flow (Temporal)
world (time, names, secrets)

Two colours: what waits on a database or on Temporal is `async`; what blocks on a disk, a socket or a decoder is plain and is
called from a thread. A blocking call that lasts takes `stop`, an event that is set when its result is no longer wanted.
"""

from tiro.ports.audio import Samples
from tiro.ports.batches import Batches
from tiro.ports.books import Books
from tiro.ports.content import Blobs, BlobWriter
from tiro.ports.desk import PartsDesk, PartWriter, PutAddress, UploadDesk
from tiro.ports.flow import Launch, Orchestrator
from tiro.ports.media import (
    Answer,
    Courier,
    Fetched,
    Fetcher,
    Growing,
    PreparedEnd,
    PreparedFile,
    PreparedSpan,
    Preparer,
)
from tiro.ports.records import Accounts, Families, Hooks, Jobs, Ledger, Limits, Records, Replays, Transaction
from tiro.ports.signing import SigningKeys
from tiro.ports.speech import Diarizer, Engine, SpanAudio, Urgency
from tiro.ports.wallets import Wallets
from tiro.ports.world import Clock, Ids, Vault

__all__ = [
    "Accounts",
    "Answer",
    "Batches",
    "BlobWriter",
    "Blobs",
    "Books",
    "Clock",
    "Courier",
    "Diarizer",
    "Engine",
    "Families",
    "Fetched",
    "Fetcher",
    "Growing",
    "Hooks",
    "Ids",
    "Jobs",
    "Launch",
    "Ledger",
    "Limits",
    "Orchestrator",
    "PartWriter",
    "PartsDesk",
    "PreparedEnd",
    "PreparedFile",
    "PreparedSpan",
    "Preparer",
    "PutAddress",
    "Records",
    "Replays",
    "Samples",
    "SigningKeys",
    "SpanAudio",
    "Transaction",
    "UploadDesk",
    "Urgency",
    "Vault",
    "Wallets",
]
