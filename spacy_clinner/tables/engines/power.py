from dataclasses import dataclass


@dataclass(frozen=True)
class Power:
    """What an engine may use.

    processes (int): Processes, or actors; 0 for what is fastest for the model on this machine.
    threads (int): Threads of each for the encoder; 0 for what is left of the cores.
    address (str | None): The cluster; None for this machine.
    torch_free (bool): Whether the model computes nothing by torch.
    """

    processes: int = 0
    threads: int = 0
    address: str | None = None
    torch_free: bool = True
