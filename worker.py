"""The worker entrance: how is a worker for some of the task queues started?"""
