"""Names of Kubernetes' pods: what is appended to the name of their owner, by its own rules.

A ReplicaSet appends a hash of its version, a CronJob the minute of its run, and each pod five
letters: of those that make no words, so that a name says by itself whose pod it is.
"""

from __future__ import annotations

import re

_OF_POD = r"-[bcdfghjklmnpqrstvwxz2456789]{5}(?=\s|$)"
_VERSION = r"-(?:[bcdf4-9]{6,10}|\d{9,10})"
_MINUTE = r"-\d{8}"
_DEPLOYED = re.compile(rf"(?<=\w){_VERSION}{_OF_POD}")
_OWNED = re.compile(rf"(?<=\w)(?:{_VERSION}|{_MINUTE})?{_OF_POD}")


def owner_of(pod: str) -> str:
    """Return the name without what its Deployment, DaemonSet or Job appends for each pod.

    >>> owner_of("web-7d4b9c8f6-x7z9q"), owner_of("agent-x7z9q"), owner_of("sync-28934520-x7z9q")
    ('web', 'agent', 'sync')
    >>> owner_of("web-cache"), owner_of("db-0")
    ('web-cache', 'db-0')
    """
    return _OWNED.sub("", pod)


def deployment_of(role: str) -> str:
    """Return the role without what a Deployment appends for each pod; "" for any other role.

    >>> deployment_of("web-7d4b9c8f6-x7z9q app")
    'web app'
    >>> deployment_of("worker-first")
    ''
    """
    name = _DEPLOYED.sub("", role)
    return "" if name == role else name
