import dataclasses
import socket
import subprocess
import sys
import time

import pytest
import torch
from support.networks.named_spaces import DIGITS
from support.networks.short_training import SHORT, assert_same, environment

from codesign.supernet.data.data_set import load_digits
from codesign.supernet.training.checkpoint import read_checkpoint
from codesign.supernet.training.processes import ALONE, Processes, joined_processes, one_thread
from codesign.supernet.training.shrinking import train
from hw_templates.foundation.errors import InvalidValueError

SCRIPT = """
import torch
from codesign.supernet.training.processes import joined_processes

with joined_processes() as processes:
    tensors = [torch.full((2, 3), float(processes.rank + 1)), torch.tensor(10.0 * (processes.rank + 1))]
    processes.sum(tensors)
    processes.wait()
    print(processes.rank, processes.count, processes.first, tensors[0].tolist(), tensors[1].item())
"""


def start_together(script, *arguments):
    """Two processes, started as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**environment(), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def finish(processes):
    """What they print, once they have ended well."""
    printed = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return printed


def test_two_processes_sum_in_one_exchange():
    assert finish(start_together(SCRIPT)) == [
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


@pytest.fixture(scope="module")
def digits():
    return load_digits()


IN_GROUPS = dataclasses.replace(SHORT, group_size=8)
TRAINING = """
import dataclasses, sys, time
from pathlib import Path
from support.networks.short_training import SHORT, train_in_small_steps
from codesign.supernet.data.data_set import load_digits
from codesign.supernet.training.processes import joined_processes
from support.networks.named_spaces import DIGITS

def on_step(progress):
    if progress.step == int(sys.argv[2]):
        time.sleep(3600)

with joined_processes() as processes:
    path, schedule = Path(sys.argv[1]), dataclasses.replace(SHORT, group_size=8)
    train_in_small_steps(DIGITS, load_digits(), schedule, path, seed=1, processes=processes, on_step=on_step)
"""


def start_training(path, sleep_at):
    """Two processes that train ``IN_GROUPS`` into the file, and sleep after a step."""
    return start_together(TRAINING, str(path), str(sleep_at))


def test_two_processes_train_what_one_does_and_survive_being_killed(digits, tmp_path):
    alone = train(DIGITS, digits, IN_GROUPS, tmp_path / "alone.pt", seed=1)
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    running = start_training(whole, sleep_at=0), start_training(parts, sleep_at=6)
    try:
        finish(running[0])
        while not (parts.exists() and read_checkpoint(parts, DIGITS).step == 5):
            assert [process.poll() for process in running[1]] == [None, None]
            time.sleep(0.05)
    finally:
        for process in (*running[0], *running[1]):
            process.kill()
            process.wait()
            process.stdout.close()
    finish(start_training(parts, sleep_at=0))
    together = read_checkpoint(whole, DIGITS)
    assert_same(read_checkpoint(parts, DIGITS), together)
    assert together.losses == pytest.approx(alone.losses, rel=1e-3)


def test_more_processes_than_groups_are_refused(digits, tmp_path):
    with pytest.raises(InvalidValueError, match=r"processes: must be at most 2, the groups of images in a step, got 3"):
        train(DIGITS, digits, IN_GROUPS, tmp_path / "supernet.pt", processes=Processes(0, 3))
    assert not (tmp_path / "supernet.pt").exists()


@pytest.fixture
def three_threads():
    """A number that no default has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_one_thread_meanwhile_and_as_many_as_before_after():
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_leaves_the_number_as_it_was():
    with pytest.raises(ValueError, match="mine"), one_thread():
        raise ValueError("mine")
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_decorated_function_computes_with_one_each_time():
    @one_thread()
    def threads(extra):
        return torch.get_num_threads() + extra

    assert [threads(0), threads(10)] == [1, 11]
    assert torch.get_num_threads() == 3
