#!/usr/bin/python3
"""The best of each program from the JSON lines of run.sh (stdin) as a table in Markdown: table.py THREADS"""
import json
import sys

from work import WORK


def share(ms, name, sgemm):
    """Multiply-adds of the plain definition x 2 / time, as a part of what sgemm does."""
    w = WORK[name]
    return 2 * w["items"] * w["mmacs"] / ms / sgemm


def main():
    best, sgemm = {}, {}
    for line in sys.stdin:
        r = json.loads(line)
        who, name = r["who"], r.get("model")
        rate = r.get("sgemm_gflops", r.get("gflops") if name == "sgemm" else None)
        if rate:
            sgemm[who] = max(rate, sgemm.get(who, 0))
        if "ms" in r:
            best[who, name] = min(r["ms"], best.get((who, name), float("inf")))
    measured_by = "ours" if "ours" in sgemm else "torch"
    rate = sgemm[measured_by]
    print("%s thread%s, f32, ms for 10 s of audio; share of sgemm 2048^3: %.1f GFLOP/s (%s)\n"
          % (sys.argv[1], "" if sys.argv[1] == "1" else "s", rate, "oneDNN" if measured_by == "ours" else "OpenBLAS"))
    print("| model | ours | share | ONNX Runtime | share | PyTorch | share | ORT / ours | PyTorch / ours |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name in WORK:
        cells = [name]
        for who in ("ours", "onnx", "torch"):
            ms = best.get((who, name))
            cells += ["%.1f" % ms, "%.0f %%" % (100 * share(ms, name, rate))] if ms else ["-", "-"]
        ours = best.get(("ours", name))
        for who in ("onnx", "torch"):
            theirs = best.get((who, name))
            cells.append("%.2f" % (theirs / ours) if ours and theirs else "-")
        print("| " + " | ".join(cells) + " |")


main()
