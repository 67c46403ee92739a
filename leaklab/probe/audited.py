"""What an audit asks of a session: readings of containers, and word of lines that have run."""

# A message has to fit into one packet, with the names of the code objects.
LINES_AT_ONCE = 200


def watched_by(path):
    """Return what reads the containers listed in a file; None where that cannot be."""
    try:
        from .watched import Watched

        return Watched(path)
    except Exception:
        # The target runs on without the readings.
        return None


def tell_lines(watched, channel):
    """Say which of the lines that an audit asks for have run since it was said last."""
    lines = watched.lines if watched is not None else None
    if lines is None:
        return
    # The first time also where none ran, so that it is known that this is told.
    news = lines.news() or ({} if lines.told else {"": []})
    lines.told = True
    for file, places in news.items():
        for start in range(0, len(places) or 1, LINES_AT_ONCE):
            part = places[start : start + LINES_AT_ONCE]
            told = {"lines": [line for line, _ in part], "codes": [code for _, code in part]}
            channel.send({"kind": "lines", "file": file, "grain": lines.grain, **told})
