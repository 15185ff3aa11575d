"""The handlers of the RPCs that Kiteward answers itself; `gateway.operations.identity` names each in its row."""
