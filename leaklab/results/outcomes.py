"""The words of a comparison."""

FIXED, IMPROVED, UNCHANGED, WORSE = "fixed", "improved", "unchanged", "worse"

# What one of the two runs says where it has no verdict or rate: nothing was recorded that tells;
# what was recorded does not decide it; or there was no such process or figure.
NOT_MEASURED, NOT_DECIDED, NOT_THERE = "not measured", "not decided", "not there"

# A leak that is left is called better or worse only beyond this ratio and outside both intervals.
NOTABLE_RATIO = 1.25
