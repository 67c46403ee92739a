"""What does this kernel hold, and which line frees it: one walk, and what goes with each group."""
