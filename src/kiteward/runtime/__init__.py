"""The composition root: turns settings into running parts. The only room that knows the whole graph."""
