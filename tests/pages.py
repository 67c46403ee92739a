"""What tests of rendered pages share: reading packed trees, and that a page is one file."""

import base64
import json
import re
import zlib
from html import unescape


def unpacked(document):
    packed = re.search(r'<script id="packed" type="text/plain">([^<]*)</script>', document)[1]
    raw = zlib.decompress(base64.b64decode(packed))
    size, at = 0, 0
    while True:
        size |= (raw[at] & 127) << (7 * at)
        at += 1
        if raw[at - 1] < 128:
            break
    return json.loads(raw[at : at + size]), raw[at + size :]


def assert_self_contained(html):
    """No address but data:, blob: and fragments, and a policy that forbids the rest."""
    assert "default-src 'none'" in html
    plain = unescape(html)
    addresses = re.findall(r"\b(?:src|href|action|poster)=[\"']?([^\"'\s>]+)", plain)
    outside = [a for a in addresses if re.match(r"(https?:)?//", a)]
    assert outside == []
    assert not re.search(r"@import|url\((?![\"']?(#|data:))", plain)
    assert not re.search(r"<link\b|<script[^>]+src", plain)
