"""Mails in forty encodings, each of which the interpreter imports and keeps at first sight."""

import email
import email.policy
import itertools
import random

from loop import run

CODECS = """utf-8 latin-1 cp1252 ascii utf-16 cp1251 koi8_r iso8859_2 iso8859_15 cp437 cp850 cp1250
gb2312 gbk big5 shift_jis euc_jp iso2022_jp euc_kr cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp866
koi8_u iso8859_3 iso8859_4 iso8859_5 iso8859_7 iso8859_9 iso8859_13 mac_roman mac_cyrillic cp037
cp500 cp852 cp855 tis_620""".split()
WEIGHTS = list(itertools.accumulate(rank**-0.5 for rank in range(1, len(CODECS) + 1)))


def mail(number, codec):
    text = "Order %d. " % number * min(300, int(5 * random.paretovariate(1.2)))
    head = "Subject: order %d\nContent-Type: text/plain; charset=%s\n\n" % (number, codec)
    return head.encode() + text.encode(codec)


def step(number):
    for codec in random.choices(CODECS, cum_weights=WEIGHTS, k=4):
        message = email.message_from_bytes(mail(number, codec), policy=email.policy.default)
        assert str(number) in message["Subject"]
        assert message.get_payload(decode=True).decode(codec).startswith("Order")


if __name__ == "__main__":
    run(step)
