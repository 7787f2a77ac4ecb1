"""Verbs: what may happen to accounts, jobs, minutes and webhooks. They know ports and nouns, no database, no HTTP, no Temporal.

accounts (keys, plans, secrets) · families (refresh tokens) · intake (a request becomes a row)
uploads (what clients bring by themselves) · manifests (of batches, written once) · batches (a manifest becomes a row)
replays (answered before) and joining (by its job) · limiter (too often) · dispatch (rows become workflows)
line and batch_line (what stations do to a job)
ending (a run ends, once) · waiting (until it has) · jobs (look, cancel, delete, retry, steer) · billing (what a job costs)
purses (what pays) · wallets (money comes in) · results (what stands behind a link)
hooks (deliveries) · signing (the server's own keys) · upkeep (purge, reconcile)
audit (what does not agree): of the records themselves (audit_books), with Temporal (audit_flow), with the store (audit_store)
house (all of these, and the ports, in one struct)
"""
