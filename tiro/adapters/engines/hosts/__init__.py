"""Model hosts: child processes that keep a model loaded and answer batches of windows.

protocol   the messages and how they are framed
main       the child: loads what its spec names, answers until its parent is gone
host       the parent's handle on one child: slab, deadline, limits, end
batcher    whose windows are taken next, and which share a batch
pool       n hosts behind one batcher; what happens when one dies
resident   an Engine whose model lives in such a pool
whisper, sphinx   the models themselves, loaded in the child only
download   fetches a model beforehand
"""
