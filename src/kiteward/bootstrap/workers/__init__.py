"""Several processes that serve one port: a parent, and workers that are replicas of each other (decision 0061).

- `supervisor.py`: what the parent decides: when workers are started, started again and stopped. It does no I/O.
- `processes.py`: the parent: starts workers as processes, takes the ports, and carries out what the supervisor decides.
- `messages.py`: what the parent and a worker tell each other.
- `worker.py`: a worker, from its start to its end.
- `place.py`: what a server that is a worker needs of its parent and of the others.
- `siblings.py`: health and metrics of all workers, asked of any of them.
- `share.py`: the settings of one worker.
"""
