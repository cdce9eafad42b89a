#!/usr/bin/env python3
"""Composes random loops of known tempo and key and plays them with FluidSynth: the development set of tempo and key.

Usage: make_loops.py OUT N [--seed S] [--fonts A.sf2,B.sf2] [--shots FOLDER]
Writes OUT/NNNNN_STYLE.wav (mono, 16 bit, 44.1 kHz) and OUT/loops.csv (path, style, bpm, beat, meter, key, mode,
first_beat_s, duration_s, parts, cut). Needs numpy and libfluidsynth (Debian: libfluidsynth3, fluid-soundfont-gm,
timgm6mb-soundfont). The same seed gives the same loops. bpm counts what a listener taps: dotted quarters in 6/8 and
12/8, quarters elsewhere.
"""
import argparse
import csv
import ctypes
import os
import random
import wave

import numpy as np

SR = 44100
KICK, SIDE, SNARE, CLAP, SNARE2, HAT, PEDAL, OPEN, CRASH, RIDE, TAMB, COW, SHAKER = 36, 37, 38, 39, 40, 42, 44, 46, 49, 51, 54, 56, 70
CONGA_HI, CONGA_LO, CLAVE, TOM_HI, TOM_LO = 63, 64, 75, 48, 43

# name: quarters a bar, quarters a tapped beat, tempo range, weight
STYLES = {
    "pop": (4, 1, 82, 140, 3), "rock": (4, 1, 85, 170, 3), "house": (4, 1, 114, 134, 3), "techno": (4, 1, 122, 150, 1),
    "trance": (4, 1, 128, 145, 1), "dnb": (4, 1, 158, 184, 3), "jungle": (4, 1, 154, 178, 1), "trap": (4, 1, 120, 164, 3),
    "dubstep": (4, 1, 134, 148, 1), "hiphop": (4, 1, 76, 104, 2), "garage": (4, 1, 126, 138, 1),
    "dembow": (4, 1, 86, 106, 1), "disco": (4, 1, 108, 130, 1), "waltz": (3, 1, 80, 184, 4), "sixeight": (3, 1.5, 44, 84, 3),
    "shuffle": (4, 1, 84, 150, 1), "reggae": (4, 1, 64, 92, 2), "bossa": (4, 1, 112, 160, 3), "samba": (4, 1, 92, 124, 1),
    "swing": (4, 1, 100, 216, 3), "piano": (4, 1, 56, 112, 3), "quartet": (4, 1, 56, 116, 3), "arp": (4, 1, 80, 140, 2),
    "five": (5, 1, 86, 170, 2), "seven": (3.5, 1, 110, 176, 2), "funk": (4, 1, 86, 120, 3), "metal": (4, 1, 110, 184, 1),
    "country": (4, 1, 90, 168, 1), "ballad": (4, 1, 58, 84, 1), "soul": (4, 1, 62, 112, 1), "chords": (4, 1, 64, 140, 1),
    "melody": (4, 1, 66, 150, 1), "plain": (4, 1, 58, 184, 3), "clicks": (4, 1, 58, 184, 1), "scale": (4, 1, 60, 150, 1),
}
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11)
PROG_MAJOR = ["1 5 6 4", "1 4 5 1", "1 6 4 5", "6 4 1 5", "1 4 1 5", "1 3 4 5", "1 6 2 5", "2 5 1 1", "2 5 1 6", "1 4 6 5", "4 5 1 1",
              "1 4 2 5", "1 5 4 4", "1 2 4 1", "1 1 4 5", "1 b7 4 1", "4 1 5 6", "1 5 1 5", "1 4 5 4", "1 3 6 4"]
PROG_MINOR = ["1 6 3 7", "1 4 5 1", "1 6 4 5", "1 7 6 5", "1 4 1 5", "1 6 7 1", "1 4 7 3", "2 5 1 1", "2 5 1 6", "1 3 4 5", "6 7 1 1",
              "1 7 6 7", "1 1 4 5", "1 5 1 5", "1 4 6 5", "1 1 6 5", "4 5 1 1", "1 6 5 5", "1 5 6 4", "1 3 7 4"]


class Piece:
    def __init__(self, rng, style):
        self.r, self.style = rng, style
        self.bar, self.beat, lo, hi, _ = STYLES[style]
        self.events = []                         # (quarter, channel, note, velocity, quarters)
        self.minor = rng.random() < 0.5
        self.tonic = rng.randrange(12)
        self.bpm = rng.choice([round(rng.uniform(lo, hi)), round(rng.uniform(lo, hi)), round(rng.uniform(lo, hi), 1)])
        self.quarter_s = 60.0 / self.bpm / self.beat
        self.swing = {"swing": 1 / 6, "shuffle": 1 / 6}.get(style, 0.0)
        if style in ("hiphop", "garage", "funk", "house") and rng.random() < 0.35:
            self.swing16 = rng.uniform(0.02, 0.08)
        else:
            self.swing16 = 0.0
        target = rng.choice([rng.uniform(12.0, 15.5), rng.uniform(12.0, 15.5), rng.uniform(1.6, 15.0)])
        self.bars = max(1, min(16, int(target / (self.bar * self.quarter_s))))
        if rng.random() < 0.4:
            self.bars = max([b for b in (1, 2, 4, 8, 16) if b <= self.bars])
        self.feel = rng.choice([0.0, 0.004, 0.008, 0.015])

    def when(self, q):
        s = q
        if self.swing:
            f = q % 1.0
            if 0.4 < f < 0.6:
                s += self.swing
        if self.swing16 and 0.2 < (q % 0.5) < 0.3:
            s += self.swing16
        return s

    def add(self, q, ch, note, vel, length=0.25, loose=1.0):
        if q < -1e-6 or q >= self.bars * self.bar - 1e-6:
            return
        t = self.when(q) * self.quarter_s + self.r.gauss(0, self.feel) * loose * (q > 0)
        self.events.append((max(0.0, t), ch, int(note), int(max(1, min(127, vel + self.r.gauss(0, 5)))), max(0.03, length * self.quarter_s)))

    # ---- harmony ----
    def plan_chords(self):
        r = self.r
        prog = r.choice(PROG_MINOR if self.minor else PROG_MAJOR).split()
        if r.random() < 0.18:                    # anything goes, the tonic most
            prog = ["1"] + r.choices("1234567" if self.minor else "123456", [4, 1.5, 1.5, 3, 4, 3, 1.5][:7 if self.minor else 6], k=r.choice([1, 2, 3, 3, 7]))
            if r.random() < 0.25:
                prog = prog[1:] + prog[:1]
        per_bar = r.choice([1, 1, 1, 1, 2, 0.5]) if self.bar != 3.5 else 1
        if self.bars <= 2:
            per_bar = r.choice([1, 2])
        self.chords = []
        span = self.bar / per_bar
        n = int(np.ceil(self.bars * per_bar))
        ends_home = r.random() < 0.35
        triads = r.random() < 0.55
        for i in range(n):
            deg = prog[i % len(prog)]
            if ends_home and i == n - 1:
                deg = "1"
            self.chords.append((i * span, span, self.chord(deg, triads)))
        self.scale = [(self.tonic + s) % 12 for s in (MINOR if self.minor else MAJOR)]
        if self.minor and r.random() < 0.5:
            self.scale = [(self.tonic + s) % 12 for s in (0, 2, 3, 5, 7, 8, 10)]

    def chord(self, deg, triads):
        r = self.r
        if deg == "b7":
            root = (self.tonic + 10) % 12
            return root, [root, (root + 4) % 12, (root + 7) % 12]
        d = int(deg) - 1
        natural = (0, 2, 3, 5, 7, 8, 10)
        scale = natural if self.minor else MAJOR
        pcs = [scale[(d + k) % 7] for k in (0, 2, 4)]
        seventh = scale[(d + 6) % 7]
        if self.minor and d == 4 and r.random() < 0.85:
            pcs[1] = 11
        if self.minor and d == 4:
            seventh = 5
        out = [(self.tonic + p) % 12 for p in pcs]
        if not triads and r.random() < 0.7:
            out.append((self.tonic + seventh) % 12)
        return out[0], out

    def chord_at(self, q):
        for c in reversed(self.chords):
            if q >= c[0] - 1e-6:
                return c
        return self.chords[0]

    def place(self, pc, low):
        return low + (pc - low) % 12

    # ---- drums: strings of one character a sixteenth: x hit, o loud, . rest, ? maybe ----
    def drum(self, note, pattern, vel=95, steps=4.0):
        n = len(pattern)
        q, i = 0.0, 0
        while q < self.bars * self.bar - 1e-6:
            c = pattern[i % n]
            if c == "o":
                self.add(q, 9, note, vel + 14)
            elif c == "x" or (c == "?" and self.r.random() < 0.45):
                self.add(q, 9, note, vel if c == "x" else vel - 22)
            i += 1
            q = i / steps

    def hats(self, kind=None, vel=78):
        r = self.r
        kind = kind or r.choice(["8", "8", "16", "4", "off", "open", "ride"])
        if kind == "16":
            self.drum(r.choice([HAT, SHAKER]), "xxxx" if r.random() < 0.7 else "x?xx", vel)
        elif kind == "8":
            self.drum(HAT, "x.x.", vel)
        elif kind == "4":
            self.drum(r.choice([HAT, RIDE, PEDAL]), "x...", vel)
        elif kind == "off":
            self.drum(r.choice([OPEN, HAT]), "..x.", vel)
        elif kind == "open":
            self.drum(HAT, "x.x.x.x.x.x.x...", vel)
            self.drum(OPEN, "..............x.", vel)
        else:
            self.drum(RIDE, "x.x.", vel)

    def drums(self):
        s, r = self.style, self.r
        D = self.drum
        if s == "clicks":
            D(r.choice([76, 77, COW, SIDE, CLAVE, HAT]), r.choice(["x...", "x...", "o...x...x...x...", "o...x...x...", "o...x..."]), 96)
            return
        if s == "plain":
            D(KICK, r.choice(["x.......", "x.......x.......", "x.......x.x.....", "x.......x.....x."]), 106)
            D(r.choice([SNARE, SNARE2, CLAP, SIDE]), "....x...", 98)
            self.hats(r.choice(["8", "8", "16", "4", "off"]))
            return
        if s in ("pop", "rock", "ballad", "soul", "chords", "arp", "melody", "piano"):
            k = r.choice(["x.......x.......", "x.......x.x.....", "x.....x.x.......", "x..x....x.......", "x.x.....x.......", "x.......x.....?.", "x.....x...x....."])
            D(KICK, k, 105)
            D(r.choice([SNARE, SNARE, CLAP, SIDE, SNARE2]), "....o.......o...", 95)
            self.hats(r.choice(["8", "8", "8", "16", "ride", "4", "open"]))
        elif s in ("house", "techno", "trance", "disco"):
            D(KICK, "x...", 112)
            if r.random() < 0.8:
                D(r.choice([CLAP, SNARE]), "....x...", 95)
            D(r.choice([OPEN, OPEN, HAT]), "..x.", 84)
            if r.random() < 0.5:
                D(r.choice([HAT, SHAKER]), "xxxx" if r.random() < 0.6 else "x.xx", 64)
            if r.random() < 0.2:
                D(r.choice([COW, CONGA_HI, SIDE, TAMB]), r.choice(["..x..x..", "x..x..x.x..x..x.", "...x..x."]), 70)
        elif s == "dnb":
            D(KICK, r.choice(["x.........x.....", "x.........x...?.", "x..x......x.....", "x.x.......x....."]), 112)
            D(SNARE, "....x.......x..." if r.random() < 0.85 else "....x..?.?..x..?", 105)
            self.hats(r.choice(["8", "8", "16", "ride"]), 74)
        elif s == "jungle":
            D(KICK, "x.x.......xx....", 108)
            D(SNARE, r.choice(["....x..x.x..x..x", "....x..x.x....x.", "....x..?.x..x..?"]), 100)
            self.hats(r.choice(["8", "ride", "16"]), 72)
        elif s in ("trap", "dubstep"):
            D(KICK, r.choice(["x.............x.", "x.....x...x.....", "x......x..x.....", "x..x......x.....", "x.........x..x..", "x..............."]), 115)
            D(r.choice([SNARE, CLAP]), "........x.......", 105)
            if s == "trap":
                D(HAT, r.choice(["x.x.x.x.x.x.x.x.", "x.x.x.xxx.x.x.x.", "xxxxxxxxxxxxxxxx", "x.x.x.x.x.xxx.x.", "x..x..x.x.x.x.x."]), 74)
                if r.random() < 0.55:
                    at = r.choice([2.0, 3.0, 3.5, 1.5])
                    fine = r.choice([1 / 8, 1 / 6, 1 / 12, 1 / 8])
                    for b in range(self.bars):
                        if r.random() < 0.7:
                            for j in range(int(0.5 / fine)):
                                self.add(b * 4 + at + j * fine, 9, HAT, 66)
            else:
                self.hats(r.choice(["8", "4", "off"]), 70)
        elif s == "hiphop":
            D(KICK, r.choice(["x......x..x.....", "x.x.......x.....", "x.....xx..x.....", "x..x..x.........", "x.......?.x....."]), 110)
            D(r.choice([SNARE, CLAP]), "....x.......x...", 100)
            self.hats(r.choice(["8", "16", "8"]))
        elif s == "garage":
            D(KICK, r.choice(["x.........x.....", "x......x..x.....", "x.....x...x....."]), 108)
            D(CLAP, "....x.......x...", 95)
            D(HAT, r.choice(["..x...x...x...x.", "x.xxx.xxx.xxx.xx", "..x..xx...x..xx."]), 78)
        elif s == "dembow":
            D(KICK, "x...x...x...x...", 108)
            D(r.choice([SNARE, SIDE, CLAP]), "...x..x....x..x.", 98)
            self.hats(r.choice(["8", "off", "16"]), 70)
        elif s == "waltz":
            q = 3 * 4
            D(KICK, "x" + "." * (q - 1) if r.random() < 0.8 else "x" + "." * (2 * q - 1), 100)
            D(r.choice([SNARE, HAT, SIDE, TAMB, PEDAL]), "....x...x...", 78)
            if r.random() < 0.4:
                D(r.choice([HAT, RIDE]), r.choice(["x...", "x.x."]), 62)
        elif s == "sixeight":
            D(KICK, r.choice(["x.....", "x.....", "x....x", "x..x.."]) if r.random() < 0.9 else "x..", 104, 2.0)
            D(r.choice([SNARE, SNARE, SIDE, CLAP]), "...x..", 92, 2.0)
            D(r.choice([HAT, RIDE, HAT]), "xxx" if r.random() < 0.8 else "x.x", 72, 2.0)
        elif s == "shuffle":
            D(KICK, r.choice(["x.......x.......", "x.....x.x.......", "x...x...x...x..."]), 106)
            D(SNARE, "....x.......x...", 96)
            D(r.choice([HAT, RIDE]), "x.x.", 76)
        elif s == "reggae":
            kind = r.randrange(3)
            D(KICK, ["........x.......", "x.......x.......", "x...x...x...x..."][kind], 104)
            D(r.choice([SIDE, SNARE]), "........x......." if kind != 1 else "....x.......x...", 92)
            D(HAT, r.choice(["x.x.", "..x.", "x.xx"]), 74)
        elif s == "bossa":
            D(KICK, r.choice(["x.....x.", "x.....xxx.....xx", "x.....x.x.....x."]), 92)
            D(SIDE, r.choice(["x.....x.....x.......x.....x.....", "x.....x.....x.......x.....x....."][:1] + ["x..x..x...x..x..", "......x...x.......x.....x......."]), 88)
            D(r.choice([HAT, SHAKER]), "x.x." if r.random() < 0.7 else "xxxx", 68)
        elif s == "samba":
            D(KICK, "x..xx..x", 100)
            D(SNARE, "x.xx.xx.x.xx.x.x", 70)
            D(SHAKER, "xxxx", 72)
            if r.random() < 0.5:
                D(CONGA_LO, "..x...xx", 84)
        elif s == "swing":
            D(RIDE, "x...x.x.", 88)
            D(PEDAL, "....x...", 80)
            if r.random() < 0.6:
                D(KICK, "x...", 62)
            if r.random() < 0.6:
                D(SNARE, "..?...?...?...?.", 66)
        elif s == "five":
            D(KICK, r.choice(["x...........x.......", "x.....x.....x.......", "x.......x..........."]), 104)
            D(SNARE, r.choice(["........x.......x...", "....x...........x...", "....x.......x......."]), 94)
            D(r.choice([HAT, RIDE]), "x.x.", 74)
        elif s == "seven":
            D(KICK, r.choice(["x...........x.", "x.......x.....", "x...x........."]), 104)
            D(SNARE, r.choice(["....x...x.....", "....x.......x.", "........x....."]), 92)
            D(r.choice([HAT, RIDE]), "x.", 74)
        elif s == "funk":
            D(KICK, r.choice(["x.x.......x..x..", "x..x..x...x.....", "x.x....x..xx....", "x.....x...x..x.."]), 106)
            D(SNARE, r.choice(["....x..?.?..x..?", "....x..?....x...", "....x.......x..?"]), 98)
            D(HAT, r.choice(["xxxx", "x.x.", "x?xx"]), 72)
        elif s == "metal":
            D(KICK, r.choice(["x.x.x.x.", "xxxxxxxx", "x.x.x.x.x.xxx.x.", "x.xxx.xx"]), 108)
            D(SNARE, "....x.......x...", 104)
            D(r.choice([HAT, RIDE, CRASH]), r.choice(["x...", "x.x."]), 80)
        elif s == "country":
            D(KICK, "x.......x......." if r.random() < 0.5 else "x...x...", 98)
            D(SNARE, "..x." if r.random() < 0.6 else "....x.......x...", 84)
            self.hats(r.choice(["8", "16", "4"]), 64)
        elif s == "quartet":
            D(r.choice([TAMB, SHAKER]), "x.x.", 60)
        if r.random() < 0.3:
            self.add(0, 9, CRASH, 88, 1)

    # ---- bass, chords, melody ----
    def bass(self):
        s, r = self.style, self.r
        low = r.choice([28, 33, 36])
        step = {"waltz": None, "swing": "walk", "sixeight": "six", "seven": "seven"}.get(s)
        pats = {"house": ["..x...x...x...x.", "x.xx.xx.x.xx.xx.", "..xx..xx..xx..xx", "x..x..x.x..x..x."], "techno": ["..x.", ".xxx", "x.x."], "trance": [".xxx", "..x."],
                "disco": ["x.x.", "x.o.x.o."], "reggae": ["x..x..x.........", "....x.x.x..x....", "x...x.x...x....."], "bossa": ["x.....x.", "x.....x.x.....x."],
                "samba": ["x..x", "x..xx..x"], "funk": ["x..x..x...x..x..", "x.x....x..x.x...", "x......xx.x....."], "dnb": ["x.........x.....", "x...............", "x.....x...x....."],
                "trap": ["x.............x.", "x.....x...x.....", "x..............."], "country": ["x.......x.......", "x...x..."], "hiphop": ["x......x..x.....", "x.........x....."]}
        pat = r.choice(pats.get(s, ["x...............", "x.......x.......", "x.x.x.x.", "x...x...", "x.....x.x.......", "x..x..x.x......."]))
        q, i = 0.0, 0
        while q < self.bars * self.bar:
            root, pcs = self.chord_at(q)[2]
            n = self.place(root, low)
            if s == "waltz" or s == "five" or step == "seven":
                if abs(q % self.bar) < 1e-6:
                    self.add(q, 0, n, 96, self.bar * 0.8 if s != "waltz" else 0.9)
                elif r.random() < (0.12 if s == "waltz" else 0.3) and abs(q % 1.0) < 1e-6:
                    self.add(q, 0, self.place(pcs[2], low), 80, 0.8)
                q += 0.5
                continue
            if step == "walk":
                nxt = self.chord_at(q + 1)[2][0]
                pick = n if abs(q - self.chord_at(q)[0]) < 1e-6 else self.place(r.choice(pcs + [(nxt + 1) % 12] * (r.random() < 0.5)), low)
                self.add(q, 0, pick, 92, 0.9)
                q += 1
                continue
            if step == "six":
                if abs(q % 1.5) < 1e-6:
                    self.add(q, 0, n if abs(q % 3) < 1e-6 or r.random() < 0.6 else self.place(pcs[2], low), 94, 1.3)
                elif abs(q % 1.5 - 1.0) < 1e-6 and r.random() < 0.25:
                    self.add(q, 0, n, 78, 0.4)
                q += 0.5
                continue
            c = pat[i % len(pat)]
            if c in "xo":
                up = 12 if c == "o" else 0
                alt = r.random() < (0.5 if s in ("bossa", "country") and i % 8 else 0.12)
                self.add(q, 0, self.place(pcs[2], low) if alt else n + up, 98, 0.4 if s != "trap" else 2.0)
            i += 1
            q = i / 4.0

    def comp(self):
        s, r = self.style, self.r
        low = r.choice([48, 52, 55, 58])
        kind = {"reggae": "skank", "waltz": "oom", "sixeight": "six", "swing": "charleston", "quartet": "hold", "piano": "broken", "arp": "arp", "ballad": "broken",
                "bossa": "bossa", "funk": "scratch", "house": "stab", "disco": "stab", "techno": "stab", "trance": "arp", "metal": "eighth"}.get(s)
        if kind is None or r.random() < 0.2:
            kind = r.choice(["hold", "quarter", "eighth", "stab", "arp", "broken", "half"] if s != "sixeight" else ["six", "hold"])
        loud = 84
        self.power = s in ("rock", "metal", "plain", "pop") and r.random() < (0.45 if s in ("rock", "metal") else 0.15)
        if self.power:
            low = r.choice([40, 43, 45])
        for q0, span, (root, pcs) in self.chords:
            notes = sorted(self.place(p, low) for p in pcs)
            if self.power:
                base = self.place(root, low)
                notes = [base, base + 7] + ([base + 12] if r.random() < 0.8 else [])
            def hit(q, length, v=loud):
                for n in notes:
                    self.add(q, 1, n, v, length)
            steps = int(round(span * 4))
            if kind == "hold":
                hit(q0, span * 0.98)
            elif kind == "half":
                for q in np.arange(0, span, 2):
                    hit(q0 + q, 1.9)
            elif kind == "quarter":
                for q in np.arange(0, span, 1):
                    hit(q0 + q, 0.85, loud + (8 if q % 2 == 0 else 0))
            elif kind == "eighth":
                for q in np.arange(0, span, 0.5):
                    hit(q0 + q, 0.42, loud + (10 if q % 1 == 0 else -4))
            elif kind == "skank":
                for q in np.arange(0, span, 1):
                    if s == "reggae":
                        hit(q0 + q + 0.5, 0.25)
                    else:
                        hit(q0 + q + 0.5, 0.3)
            elif kind == "oom":
                for q in np.arange(0, span, 1):
                    if (q0 + q) % 3 > 0.5:
                        hit(q0 + q, 0.7)
            elif kind == "six":
                order = r.choice([[0, 1, 2, 3 % len(notes), 2, 1], [0, 1, 2, 0, 1, 2]])
                for j in range(int(span * 2)):
                    self.add(q0 + j * 0.5, 1, notes[order[j % 6] % len(notes)], loud + (8 if j % 3 == 0 else 0), 0.6)
            elif kind == "charleston":
                for q in np.arange(0, span, 4):
                    hit(q0 + q, 0.7)
                    hit(q0 + q + 1.5, 0.5)
                    if r.random() < 0.3:
                        hit(q0 + q + 2.5, 0.4)
            elif kind == "bossa":
                for q in (0, 1, 2.5, 3.5) if r.random() < 0.7 else (0, 1.5, 3):
                    if q < span:
                        hit(q0 + q, 0.5)
            elif kind == "scratch":
                pat = r.choice(["..x...x...x..x..", "x..x..x...x.x...", "....x..x....x..x"])
                for j in range(steps):
                    if pat[j % 16] == "x":
                        hit(q0 + j / 4, 0.2)
            elif kind == "stab":
                pat = r.choice(["..x...x...x...x.", "x..x..x...x.x...", "x..x..x.x..x..x.", "..x..x....x..x.."])
                for j in range(steps):
                    if pat[j % 16] == "x":
                        hit(q0 + j / 4, 0.3)
            elif kind == "arp":
                rate = r.choice([0.25, 0.25, 0.5])
                seq = r.choice([list(range(len(notes))), list(range(len(notes))) + [len(notes)], [0, 2, 1, 2], [0, 1, 2, 1]])
                for j in range(int(span / rate)):
                    k = seq[j % len(seq)]
                    n = notes[k % len(notes)] + 12 * (k // len(notes))
                    self.add(q0 + j * rate, 1, n, loud + (8 if (j * rate) % 1 == 0 else 0), rate * 1.1)
            elif kind == "broken":
                rate = r.choice([0.5, 0.5, 1.0])
                self.add(q0, 1, self.place(root, 36), loud, span * 0.9)
                for j in range(int(span / rate)):
                    k = [0, 1, 2, 1][j % 4]
                    self.add(q0 + j * rate, 1, notes[k % len(notes)], loud - 6 + (8 if j % 2 == 0 else 0), rate * 1.4)

    def lead(self):
        r, s = self.r, self.style
        low = r.choice([60, 64, 67, 72])
        tri = s in ("sixeight",)
        cells = [[1, 1], [1, 0.5, 0.5], [0.5, 0.5, 1], [2], [0.5] * 4, [1.5, 0.5], [0.25] * 4 + [1], [0.75, 0.75, 0.5], [0.5, 1, 0.5]]
        if tri:
            cells = [[1.5], [0.5] * 3, [1, 0.5], [0.5, 1]]
        if s in ("waltz",):
            cells = [[1, 1, 1], [2, 1], [3], [1, 0.5, 0.5, 1], [0.5] * 6, [1.5, 0.5, 1]]
        if s == "seven":
            cells = [[1, 1, 1.5], [0.5] * 7, [1, 1, 0.5, 0.5, 0.5], [2, 1.5]]
        busy = r.random()
        pool = [x for x in cells if len(x) <= 2 + 3 * busy] or cells
        motif = [r.choice(pool) for _ in range(r.choice([2, 2, 4]))]
        q, i = 0.0, 0
        last = low + 5
        pool_notes = sorted(n for n in range(low - 3, low + 17) if n % 12 in self.scale)
        end = self.bars * self.bar
        while q < end - 1e-6:
            for d in motif[i % len(motif)] if r.random() < 0.8 else r.choice(pool):
                if q >= end:
                    break
                _, pcs = self.chord_at(q)[2]
                strong = abs(q % self.beat) < 1e-6
                if strong and r.random() < 0.75:
                    choices = [n for n in range(low - 3, low + 17) if n % 12 in pcs]
                else:
                    choices = pool_notes
                n = min(choices, key=lambda c: abs(c - last - r.choice([-4, -2, -2, 2, 2, 4, 0])) + r.random())
                if r.random() < 0.9:
                    self.add(q, 3, n, 90 + (6 if strong else 0), d * 0.9)
                last = n if low - 3 <= n <= low + 16 else low + 5
                q += d
            i += 1

    def exercise(self):
        """A scale up and down, or an arpeggio of its steps, from tonic to tonic."""
        r = self.r
        low = self.place(self.tonic, r.choice([48, 55, 60, 67]))
        steps = (0, 2, 4, 5, 7, 9, 11) if not self.minor else r.choice([(0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 11)])
        steps = [s + 12 * o for o in range(r.choice([1, 1, 2])) for s in steps]
        steps.append(12 * (len(steps) // 7))
        steps = r.choice([steps, steps + steps[-2::-1], steps + steps[::-1], steps[::-1], [steps[0], steps[2], steps[4], steps[2]] * 2 + [steps[0]]])
        rate = r.choice([0.5, 0.5, 1, 0.25])
        self.bars = max(1, int(np.ceil(len(steps) * rate / 4)))
        for j, s in enumerate(steps):
            self.add(j * rate, 3, low + s, 92, rate if j < len(steps) - 1 else 4)

    def compose(self):
        r, s = self.r, self.style
        if s == "scale":
            self.parts = ["lead"]
            return self.exercise()
        self.plan_chords()
        p = {"drums": 0.88, "bass": 0.86, "comp": 0.9, "lead": 0.45}
        if s in ("piano", "quartet", "arp", "chords", "melody", "ballad"):
            p = {"drums": 0.15 if s not in ("arp", "ballad") else 0.45, "bass": 0.3, "comp": 0.97, "lead": 0.6}
        if s == "clicks":
            p = {"drums": 1, "bass": 0, "comp": 0, "lead": 0}
        if s == "plain":
            p = {"drums": 1, "bass": 0.6, "comp": 0.5, "lead": 0.2}
        if s == "melody":
            p = {"drums": 0.1, "bass": 0.35, "comp": 0.2, "lead": 1.0}
        only = r.random()
        if only < 0.12:
            p = {"drums": 1, "bass": 0, "comp": 0, "lead": 0}
        elif only < 0.15:
            p = {"drums": 0, "bass": 1, "comp": 0.2, "lead": 0.2}
        self.parts = [k for k in p if r.random() < p[k]] or ["drums" if r.random() < 0.4 else "comp"]
        for k in self.parts:
            getattr(self, k)()
        if not self.events:
            self.comp()
            self.parts.append("comp")


BASS_PROGRAMS = [32, 33, 34, 35, 36, 38, 39, 87]
COMP_PROGRAMS = {"piano": [0, 1, 0, 2, 4], "ballad": [0, 4, 5], "quartet": [48, 49, 40, 41, 44], "arp": [24, 46, 81, 80, 4, 11, 88, 6], "rock": [29, 30, 27, 18, 0], "metal": [29, 30],
                 "reggae": [27, 16, 17, 28], "bossa": [24, 4, 0, 25], "swing": [0, 26, 1, 11], "funk": [27, 28, 7, 4, 61], "house": [0, 4, 81, 90, 16, 50, 62], "waltz": [0, 21, 24, 48, 46],
                 "country": [25, 24, 27], "dnb": [88, 89, 50, 4, 81]}
ANY_PROGRAMS = [0, 1, 4, 5, 6, 7, 11, 12, 16, 17, 19, 21, 24, 25, 26, 27, 28, 29, 40, 42, 46, 48, 49, 50, 52, 56, 61, 62, 65, 68, 71, 73, 79, 80, 81, 82, 88, 89, 90, 104, 106]
LEAD_PROGRAMS = [0, 4, 11, 12, 13, 21, 22, 24, 26, 40, 42, 52, 53, 56, 57, 59, 64, 65, 66, 68, 71, 73, 74, 75, 78, 80, 81, 82, 85]


KIT = {KICK: "kick", SNARE: "snare", SNARE2: "snare", CLAP: "clap", SIDE: "rim", HAT: "hihat-closed", PEDAL: "hihat-closed", OPEN: "hihat-open", CRASH: "cymbal", RIDE: "cymbal",
       TAMB: "shaker", SHAKER: "shaker", COW: "perc", CLAVE: "perc", 76: "perc", 77: "perc", CONGA_HI: "hand-drum", CONGA_LO: "hand-drum", TOM_HI: "tom", TOM_LO: "tom"}


class Kits:
    """Recorded drums: a folder of CLASS__NAME.wav (16 bit)."""

    def __init__(self, folder):
        self.by_class = {}
        for name in sorted(os.listdir(folder)):
            with wave.open(os.path.join(folder, name)) as w:
                x = np.frombuffer(w.readframes(w.getnframes()), "<i2").reshape(-1, w.getnchannels()).mean(1).astype(np.float32) / 32768
                t = np.arange(0, len(x) - 1, w.getframerate() / SR)
            self.by_class.setdefault(name.split("__")[0], []).append(np.interp(t, np.arange(len(x)), x).astype(np.float32))

    def play(self, rng, events, n):
        out, chosen = np.zeros(n, np.float32), {}
        for t, _, note, vel, _ in events:
            kind = KIT.get(note, "perc")
            if note not in chosen:
                x, r = rng.choice(self.by_class[kind]), 2 ** (rng.gauss(0, 2) / 12)
                at = np.arange(0, len(x) - 1, r)
                chosen[note] = np.interp(at, np.arange(len(x)), x) * rng.uniform(0.3, 1.0) * (0.5 if kind in ("hihat-closed", "shaker", "cymbal", "hihat-open") else 1)
            i = int(t * SR)
            hit = chosen[note][:max(0, n - i)]
            out[i:i + len(hit)] += hit * (vel / 127) ** 2
        return out


class Player:
    """libfluidsynth through ctypes: a font is loaded once, the loops are played one after another."""

    def __init__(self, font):
        f = self.f = ctypes.CDLL("libfluidsynth.so.3")
        for name in ("new_fluid_settings", "new_fluid_synth"):
            getattr(f, name).restype = ctypes.c_void_p
        self.s = f.new_fluid_settings()
        s = ctypes.c_void_p(self.s)
        f.fluid_settings_setnum(s, b"synth.sample-rate", ctypes.c_double(SR))
        f.fluid_settings_setnum(s, b"synth.gain", ctypes.c_double(0.5))
        f.fluid_settings_setint(s, b"synth.polyphony", 128)
        self.y = ctypes.c_void_p(f.new_fluid_synth(s))
        if f.fluid_synth_sfload(self.y, font.encode(), 1) < 0:
            raise SystemExit("cannot load " + font)

    def play(self, piece, seconds, room):
        f, y = self.f, self.y
        f.fluid_synth_system_reset(y)
        f.fluid_synth_set_reverb_on(y, int(room > 0))
        f.fluid_synth_set_chorus_on(y, 0)
        if room:
            f.fluid_synth_set_reverb(y, ctypes.c_double(room), ctypes.c_double(0.2), ctypes.c_double(0.5), ctypes.c_double(0.5))
        if getattr(piece, "power", False):
            piece.programs[1] = random.choice([29, 30, 30])
        for ch, prog in piece.programs.items():
            f.fluid_synth_program_change(y, ch, prog)
            f.fluid_synth_cc(y, ch, 7, piece.volumes[ch])
            f.fluid_synth_cc(y, ch, 91, 40 if room else 0)
        todo = []
        for t, ch, note, vel, length in piece.events:
            todo.append((t, 1, ch, note, vel))
            todo.append((t + length, 0, ch, note, 0))
        todo.sort()
        n = int(seconds * SR)
        out = np.zeros((n, 2), np.int16)
        at = 0
        for t, on, ch, note, vel in todo + [(seconds, 2, 0, 0, 0)]:
            to = min(n, int(round(t * SR)))
            if to > at:
                block = np.zeros((to - at, 2), np.int16)
                p = block.ctypes.data_as(ctypes.c_void_p)
                f.fluid_synth_write_s16(y, to - at, p, 0, 2, p, 1, 2)
                out[at:to] = block
                at = to
            if on == 1:
                f.fluid_synth_noteon(y, ch, note, vel)
            elif on == 0:
                f.fluid_synth_noteoff(y, ch, note)
        return out.astype(np.float32).mean(1) / 32768


def finish(piece, x, length_s, rng):
    """How the loop was cut: exactly, with a tail, with silence in front, or anywhere out of a longer piece."""
    start, cut = 0.0, "exact"
    how = rng.random()
    n = int(round(length_s * SR))
    tail = x[n:]
    if how < 0.72:
        x = x[:n]
        if rng.random() < 0.3 and len(tail):
            x = x.copy()
            k = min(len(tail), n)
            x[:k] += tail[:k] * (rng.random() < 0.5)
    elif how < 0.86:
        cut = "tail"
        x = x[:n + int(rng.uniform(0.05, 1.4) * SR)]
    else:
        cut = "excerpt"
        a = rng.uniform(0, 0.3) * length_s
        b = rng.uniform(0.75, 1.0) * length_s
        if b - a > 2.0:
            x = x[int(a * SR):int(b * SR)]
    if rng.random() < 0.3:
        start = round(rng.uniform(0.05, 0.9), 2)
        x = np.concatenate([np.zeros(int(start * SR), np.float32), x])
    peak = np.max(np.abs(x)) + 1e-9
    x = x / peak * rng.choice([0.1, 0.5, 0.9, 0.9])
    if rng.random() < 0.25:                       # a loud, squashed master
        x = np.tanh(x / np.max(np.abs(x)) * rng.uniform(1.5, 4)) * 0.8
    if rng.random() < 0.15:
        x = x + np.random.default_rng(rng.randrange(1 << 30)).normal(0, 10 ** rng.uniform(-4, -2.6), len(x)).astype(np.float32)
    return x, start, cut


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out")
    a.add_argument("n", type=int)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--shots", help="folder of recorded drums, CLASS__NAME.wav")
    a.add_argument("--fonts", default="/usr/share/sounds/sf2/FluidR3_GM.sf2,/usr/share/sounds/sf2/TimGM6mb.sf2")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    players = [Player(f) for f in a.fonts.split(",")]
    kits = Kits(a.shots) if a.shots else None
    names = list(STYLES)
    weights = [STYLES[s][4] for s in names]
    rows = []
    for i in range(a.n):
        rng = random.Random(a.seed * 1000003 + i)
        np.random.seed(rng.randrange(1 << 31))
        p = Piece(rng, rng.choices(names, weights)[0])
        p.compose()
        pick = lambda table: rng.choice(table)
        p.programs = {0: pick(BASS_PROGRAMS), 1: pick(COMP_PROGRAMS.get(p.style, ANY_PROGRAMS) if rng.random() < 0.6 else ANY_PROGRAMS), 3: pick(LEAD_PROGRAMS), 9: pick([0, 0, 0, 8, 16, 24, 25, 25, 32, 40])}
        p.volumes = {0: rng.randrange(70, 115), 1: rng.randrange(55, 105), 3: rng.randrange(55, 110), 9: rng.randrange(60, 120)}
        length = p.bars * p.bar * p.quarter_s
        drums = [e for e in p.events if e[1] == 9]
        recorded = kits and drums and rng.random() < 0.35
        if recorded:
            p.events = [e for e in p.events if e[1] != 9]
        x = players[i % len(players)].play(p, length + 1.5, rng.choice([0, 0.2, 0.6]))
        if recorded:
            x = x / (4 * np.sqrt(np.mean(x * x)) + 1e-3) * rng.uniform(0.2, 1.5) + kits.play(rng, drums, len(x))
        x, start, cut = finish(p, x, length, rng)
        path = "%05d_%s.wav" % (i, p.style)
        with wave.open(os.path.join(a.out, path), "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(SR)
            w.writeframes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())
        pitched = set(p.parts) - {"drums"}
        names12 = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
        meter = {3: "3/4", 4: "4/4", 5: "5/4", 3.5: "7/8"}[p.bar] if p.beat == 1 else "6/8"
        rows.append([path, p.style, p.bpm, p.beat, meter, names12[p.tonic] if pitched else "", ("minor" if p.minor else "major") if pitched else "",
                     start, round(len(x) / SR, 4), "+".join(p.parts), cut])
    with open(os.path.join(a.out, "loops.csv"), "w", newline="") as f:
        w = csv.writer(f)
        w.writerow("path,style,bpm,beat,meter,key,mode,first_beat_s,duration_s,parts,cut".split(","))
        w.writerows(rows)


if __name__ == "__main__":
    main()
