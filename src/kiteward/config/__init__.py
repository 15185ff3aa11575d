"""Configuration: Milvus' own keys and those under `kiteward:`, read once into one frozen `Settings`.

- `settings.py`: `Settings`, with a field for everything that can be configured.
- `keys.py`, `engine_keys.py`, `store_keys.py`, `exchange_keys.py`: a row for each key, with its type, default and
  meaning; the table in the documents is generated from it.
- `kinds.py`: the types of values, with their validation.
- `sources.py`: the configuration file, a Helm values file, the environment.
- `yaml_text.py`: reads YAML.
- `reader.py`: reads the values of keys and records the origin of each.
- `spelling.py`, `doubts.py`: what a misspelt key was meant to be.
- `loading.py`: builds `Settings` from the values of keys.

The environment overrides the file, which overrides the defaults; the command line overrides all (`kiteward.cli`).
Milvus' sections hold many keys that Kiteward does not use; those are ignored, with a warning where one is probably a
misspelling of one that it does use. Under `kiteward:` an unknown key is an
error.
"""
