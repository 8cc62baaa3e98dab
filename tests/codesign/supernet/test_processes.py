import os
import socket
import subprocess
import sys

import torch

from codesign.supernet.processes import ALONE, joined_processes

SCRIPT = """
import torch
from codesign.supernet.processes import joined_processes

with joined_processes() as processes:
    tensors = [torch.full((2, 3), float(processes.rank + 1)), torch.tensor(10.0 * (processes.rank + 1))]
    processes.sum(tensors)
    processes.wait()
    print(processes.rank, processes.count, processes.first, tensors[0].tolist(), tensors[1].item())
"""


def together(script, count=2):
    """What so many processes print, started as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    return [process.communicate(timeout=120)[0] for process in started]


def test_two_processes_sum_in_one_exchange():
    assert together(SCRIPT) == [
        "0 2 True [[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]] 30.0\n",
        "1 2 False [[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]] 30.0\n",
    ]


def test_a_process_alone_sums_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes() as processes:
        assert (processes.rank, processes.count, processes.first) == (0, 1, True)
        assert processes == ALONE or torch.cuda.is_available()
        tensor = torch.ones(3)
        processes.sum([tensor])
        processes.wait()
        assert tensor.tolist() == [1, 1, 1]
