"""Configuration: Milvus' own keys, and ours under `kiteward:`, read once into one frozen `Settings`.

- `settings.py`: `Settings`, everything that can be set.
- `keys.py`: one row for each key, with its type, default and meaning; the table in the documents is made from it.
- `kinds.py`: the types of values, and what is refused.
- `sources.py`: the file, a Helm values file, the environment.
- `reader.py`: the values of keys, with where each came from.
- `loading.py`: from keys to `Settings`.

The environment wins over the file, the file over the defaults; the command line wins over all (`kiteward.cli`). Milvus'
sections hold many keys that do not concern us; those are ignored. Under `kiteward:` an unknown key is an error.
"""
