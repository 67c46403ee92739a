"""Starts the target, follows its processes, and writes down what they use."""
