"""Recorded runs on disk: schema, writer, reader."""
