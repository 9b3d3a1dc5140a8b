# SPDX-License-Identifier: MIT
"""neap: data loading with worker processes.

    import neap

    with neap.open("digits.lua", batch=64, workers=4) as loader:
        for epoch in range(1, 6):
            for item in loader.epoch(epoch):
                images = item["image"].numpy()  # no copy

A loader file is written in Lua; workers compute its items ahead and hand them
over in shared memory. neap.open() tells how it is opened, neap.Loader what it
does, neap.Tensor how arrays share its memory, neap.Error what goes wrong.
"""

from ._errors import Error, InvalidError, ItemError
from ._loader import Loader, open
from ._progress import progress
from ._stats import Stats, WorkerStats
from ._tensor import Tensor
from ._version import VERSION as __version__

__all__ = [
    "Error", "InvalidError", "ItemError", "Loader", "Stats", "Tensor",
    "WorkerStats", "open", "progress",
]
