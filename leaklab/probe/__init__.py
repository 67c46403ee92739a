"""What runs inside the target: standard library only, CPython 3.9 and later, silent."""
