"""A small service with a leak: it remembers every session it has ever seen.

It stands for your own program in 99-your-own-script.ipynb. Each unit of work ends with `mark()`.
"""

from leaklab import mark

SESSIONS: dict[str, bytes] = {}


def render(user: str) -> bytes:
    """Work that allocates a lot and keeps nothing."""
    return "".join(f"<li>{user} {item}</li>" for item in range(2_000)).encode()


def remember(user: str) -> None:
    """The leak: a session is stored and never removed."""
    SESSIONS[user] = bytes(20_000)


def main() -> None:
    for request in range(200):
        user = f"user-{request:05d}"
        remember(user)
        render(user)
        mark()
    print(f"served {len(SESSIONS)} sessions")


if __name__ == "__main__":
    main()
