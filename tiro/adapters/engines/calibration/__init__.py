"""How is this machine used best? What an engine measures once, at its first start with a model, and keeps.

sizes      what is chosen, what the settings say of it, and the rule where nothing is measured
machine    cores, cards, and how much memory there is for hosts
speech     what is spoken to the model: a minute that comes with the package
trials     hosts of their own that hear it, and what that cost
choosing   which trials are worth their time, and what follows from them
kept       results in files, one per model and machine
once       what was kept, or measured now, by one process at a time
"""
