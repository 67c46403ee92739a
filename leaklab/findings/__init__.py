"""What a judged run shows: the tree of its heap, what retains it, what allocators keep."""
