"""Python sources as trees."""

import ast
import gc


def syntax_tree(source: str) -> ast.Module:
    """Return the syntax tree of a source.

    The collector of garbage does not run meanwhile. In CPython before 3.11.8 a finalizer that reports an exception,
    which parses source too, makes the outer call fail: "AST constructor recursion depth mismatch" (cpython#106905).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if collects:
            gc.enable()
