"""A step of training in two processes."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import supple.torch


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 6), supple.torch.nn.SoftRank(2.0), torch.nn.Linear(6, 1))


def data():
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(1))


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(os.path.join(folder, "store"), 2)
    dist.init_process_group("gloo", rank=rank, world_size=2, store=store)
    replica = torch.nn.parallel.DistributedDataParallel(model())
    replica(data()[4 * rank : 4 * rank + 4]).square().mean().backward()
    torch.save([p.grad for p in replica.parameters()], os.path.join(folder, f"{rank}.pt"))
    dist.destroy_process_group()


def test_two_processes_have_the_gradients_of_one(tmp_path: Path):
    mp.spawn(work, (str(tmp_path),), nprocs=2)
    whole = model()
    whole(data()).square().mean().backward()
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), [p.grad for p in whole.parameters()])
