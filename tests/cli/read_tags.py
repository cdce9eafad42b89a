#!/usr/bin/env python3
"""Tags of sound files, read by nothing of ours: the formats' own rules in a few lines. Prints KEY=VALUE, one a line, sorted; and the
SHA-256 of the audio as `audio=`. Usage: read_tags.py FILE..."""
import hashlib, struct, sys

def id3(b, out):
    if b[:3] != b"ID3":
        return 0
    version, flags = b[3], b[5]
    size = b[6] << 21 | b[7] << 14 | b[8] << 7 | b[9]
    at, end = 10, 10 + size
    while at + 10 <= end and b[at] != 0:
        name = b[at:at + 4].decode("latin-1")
        n = (b[at + 4] << 21 | b[at + 5] << 14 | b[at + 6] << 7 | b[at + 7]) if version == 4 else \
            struct.unpack(">I", b[at + 4:at + 8])[0]
        body, at = b[at + 10:at + 10 + n], at + 10 + n
        encoding = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}[body[0]]
        text = body[1:]
        if name == "COMM":
            text = text[3:]
        words = text.decode(encoding).strip("\0").split("\0")
        if name == "TXXX":
            name, words = "TXXX:" + words[0], words[1:]
        elif name == "COMM":
            words = words[-1:]
        out["id3." + name] = words[0].lstrip("\ufeff") if words else ""
    return end

def comments(b, out):
    vendor = struct.unpack("<I", b[:4])[0]
    at = 4 + vendor
    count, at = struct.unpack("<I", b[at:at + 4])[0], at + 4
    for _ in range(count):
        n = struct.unpack("<I", b[at:at + 4])[0]
        key, value = b[at + 4:at + 4 + n].decode().split("=", 1)
        out["vorbis." + key.upper()] = value
        at += 4 + n

def riff(b, out):
    assert struct.unpack("<I", b[4:8])[0] == len(b) - 8, "RIFF's size"
    at, audio = 12, b""
    while at + 8 <= len(b):
        name, n = b[at:at + 4], struct.unpack("<I", b[at + 4:at + 8])[0]
        body = b[at + 8:at + 8 + n]
        assert len(body) == n, "a chunk goes beyond the end"
        at += 8 + n + n % 2
        if name == b"data":
            audio += body
        elif name == b"acid":
            flags, note, _, _, beats, denominator, numerator, tempo = struct.unpack("<IHHfIHHf", body)
            out.update({"acid.one_shot": flags & 1, "acid.note": note if flags & 2 else "", "acid.beats": beats,
                        "acid.tempo": "%.2f" % tempo, "acid.meter": "%d/%d" % (numerator, denominator)})
        elif name == b"smpl":
            values = struct.unpack("<9I", body[:36])
            out.update({"smpl.note": values[3], "smpl.loops": values[7]})
            if values[7]:
                out["smpl.end"] = struct.unpack("<6I", body[36:60])[3]
        elif name == b"LIST" and body[:4] == b"INFO":
            i = 4
            while i + 8 <= len(body):
                m = struct.unpack("<I", body[i + 4:i + 8])[0]
                out["info." + body[i:i + 4].decode()] = body[i + 8:i + 8 + m].rstrip(b"\0").decode()
                i += 8 + m + m % 2
        elif name == b"id3 ":
            id3(body, out)
    return audio

def aiff(b, out):
    assert struct.unpack(">I", b[4:8])[0] == len(b) - 8, "FORM's size"
    at, audio = 12, b""
    while at + 8 <= len(b):
        name, n = b[at:at + 4], struct.unpack(">I", b[at + 4:at + 8])[0]
        body, at = b[at + 8:at + 8 + n], at + 8 + n + n % 2
        if name == b"SSND":
            audio += body
        elif name == b"ID3 ":
            id3(body, out)
    return audio

def flac(b, out):
    at, last = 4, False
    while not last:
        last, kind, n = b[at] >> 7, b[at] & 127, b[at + 1] << 16 | b[at + 2] << 8 | b[at + 3]
        if kind == 4:
            comments(b[at + 4:at + 4 + n], out)
        at += 4 + n
    return b[at:]

def ogg(b, out):
    at, packets, part, number = 0, [], b"", None
    while at < len(b):
        assert b[at:at + 4] == b"OggS", "a page begins at %d" % at
        this = struct.unpack("<I", b[at + 18:at + 22])[0]
        assert number is None or this == number + 1, "pages are numbered"
        number, count = this, b[at + 26]
        sizes, at = b[at + 27:at + 27 + count], at + 27 + count
        for n in sizes:
            part, at = part + b[at:at + n], at + n
            if n < 255:
                packets.append(part)
                part = b""
    head = packets[1]
    skip = 8 if head[:8] == b"OpusTags" else 7 if head[:7] == b"\3vorbis" else 4
    comments(head[skip:], out)
    return b"".join(packets[:1] + packets[2:])

def mpeg(b, out):
    return b[id3(b, out):]

sys.stdout.reconfigure(encoding="utf-8")
for path in sys.argv[1:]:
    data, tags = open(path, "rb").read(), {}
    reader = {b"RIFF": riff, b"FORM": aiff, b"fLaC": flac, b"OggS": ogg}.get(data[:4], mpeg)
    tags["audio"] = hashlib.sha256(reader(data, tags)).hexdigest()
    for key in sorted(tags):
        print("%s=%s" % (key, tags[key]))
