"""Model hosts: child processes that keep a model loaded and answer batches of windows.

protocol   the messages and how they are framed
main       the child: loads what its spec names, answers until its parent is gone
host       the parent's handle on one child: slab, deadline, limits, end
growth     whether a host keeps more and more memory
seat       one host after another: who follows one that died or grew
batcher    whose windows are taken next, and which share a batch
pool       n seats behind one batcher; what happens when a host dies
resident   an Engine whose model lives in such a pool
whisper, sphinx   the models themselves, loaded in the child only (whisper is a folder with a map of its own)
download   fetches a model beforehand
"""
