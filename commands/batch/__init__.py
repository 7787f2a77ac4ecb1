"""`tiro batch`: many recordings at once, for people at a shell.

command.py    options, help, exit codes           manifest.py   which recordings, and what is wrong with the list
places.py     where results go                    journal.py    what is known of an earlier call, and kept for a later one
plan.py       what is still to be done            client.py     the public `transcribe` API, from outside
uploads.py    bring the bytes                     documents.py  a result document, recording by recording
runner.py     a server's batch from end to end    board.py      what a person sees meanwhile
results.py    from a result document to files     report.py     what became of all of them
leaving.py    Ctrl-C, once and twice
"""
