#!/usr/bin/python3
"""Times one network in PyTorch: time_torch.py MODEL [threads [runs]] -> {"model": ..., "ms": best for 10 s of audio}

MODEL "sgemm": a product of two 2048 x 2048 matrices, {"gflops": best}. Set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS to the threads.
"""
import json
import sys
import time

import torch

from nets import NETS
from work import WORK, batch


def best(run, runs):
    """Seconds of the quickest run."""
    run()  # packs, allocates
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    name = sys.argv[1]
    threads, runs = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 1), (3, 5)))
    result = {"model": name, "threads": threads}
    torch.set_num_threads(threads)
    with torch.no_grad():
        if name == "sgemm":
            a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
            result["gflops"] = round(2e-9 * 2048**3 / best(lambda: a @ b, runs), 2)
        else:
            net, x = NETS[name]().eval(), torch.from_numpy(batch(name))
            scale = WORK[name]["items"] / WORK[name]["timed"]
            result["ms"] = round(1e3 * scale * best(lambda: net(x), runs), 3)
    print(json.dumps(result))


main()
