"""Nouns of the service: frozen structs and pure functions. Knows nothing but itself and msgspec.

errors · ids · blob (where content lies) · media (what was decoded, spans) · request (what was asked) · job (the record)
pace (of its spans) · transcript (words, segments, turns) · speech (what engines hear) · heard (what is believed of it)
words, speakers, merge (from one to the other)
upload (bytes that a client brings by itself)
account (and its keys) · plans · family (refresh tokens) · ledger (money and minutes) · hook (deliveries) · replay (answers given again)
audit (what does not agree)
"""
