"""What runs in the interpreter under test: standard library and pytest only, CPython 3.9 on.

The folder itself is put on PYTHONPATH of an interpreter that has no leaklab, so both modules carry
names of their own and import each other with and without the package.
"""
