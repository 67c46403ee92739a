"""The live heap of a target, read from memray's stream."""
