"""Backups of a data directory: made while a server uses it, verified, and restored.

- `control.py`: the socket of a running server, which pauses its engine for the moment of a backup.
- `point.py`: what a data directory holds at one moment.
- `archive.py`: the file of a backup; `sealed_file.py`: its encryption.
- `making.py`, `reading.py`, `restoring.py`: what the command line does; `contents.py`: checks of what was restored.
"""
