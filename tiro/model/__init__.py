"""Nouns of the service: frozen structs and pure functions. Knows nothing but itself and msgspec.

errors · ids · blob (where content lies) · media (what was decoded, spans) · request (what was asked) · job (the record)
pace (of its spans) · transcript (words, segments, turns) · speech (what engines hear) · heard (what is believed of it)
words, speakers, merge (from one to the other)
windows (what is asked of an engine at once) · languages (that can be asked for)
batch (many files, one job) · pack (of its short files) · upload (bytes that a client brings by itself)
account (and its keys) · plans · customs (what holds for all jobs of a dialect) · family (refresh tokens)
ledger (minutes and overage) · wallet (money) · hook (deliveries) · signing (the server's own keys) · replay (answers given again)
audit (what does not agree) · temporal (how its cluster is reached)
"""
