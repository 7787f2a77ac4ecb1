"""Engines: who hears the words. `registry` knows them by id and says which can run here; the rest is one file per engine.

registry         id -> what it can do (without loading it) and how it is made; the chain of a server
abilities        what an engine can do, as data; languages; public model ids
    whisper_models   where a Whisper model lies, what it can do, how to get it
    calibration/     how many hosts, how large batches and how long windows are fastest here
faster_whisper   any Whisper model by name or folder           } both live in model hosts (hosts/),
pocketsphinx     English, modest, ships its model in its wheel } never in the process that asks
openai           any server with OpenAI's audio API
assemblyai       AssemblyAI's API
    hosted       what these two have in common
scripted         hears numbered audio (numbered), for tests and rehearsals; obeys a script of delays and failures
hosts/           child processes that hold a model: protocol, host, pool, batcher
"""
