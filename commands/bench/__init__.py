"""`tiro bench`: how fast this machine is, and what would make it faster.

command.py   options, help, the order of what is measured       samples.py   what is heard: one recording, and many short ones
line.py      the same through a whole server                    figures.py   what came out, as data
advice.py    which settings follow from it, and what was not measured
table.py     for a person                                       steps.py     what a person sees meanwhile
"""
