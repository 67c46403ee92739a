"""The processes of a target: which there are, what the kernel says of them, their limits."""
