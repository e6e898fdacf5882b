"""small-text's model selection handlers, which want every candidate as a file."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from small_text import ModelSelection
from small_text.utils.system import get_tmp_dir_base

__all__ = ["HostSelection"]


class HostSelection:
    """Runs a small-text model selection handler: it wants every candidate as a file."""

    def __init__(self, handler: Any, model: torch.nn.Module) -> None:
        self.handler = copy.deepcopy(handler)
        self.model = model
        self._folder = tempfile.TemporaryDirectory(dir=get_tmp_dir_base())
        self._count = 0

    def observe(self, measured: dict[str, Any], stop: bool) -> None:
        """Save the weights and tell the handler about them."""
        self._count += 1
        path = Path(self._folder.name) / f"model_{self._count}.pt"
        torch.save(self.model.state_dict(), path)
        fields = {ModelSelection.FIELD_NAME_EARLY_STOPPING: stop}
        self.handler.add_model(str(self._count), path, measured, fields=fields)

    def restore(self) -> None:
        """Load the weights that the handler selects, if any."""
        result = self.handler.select()
        if result is not None:
            self.model.load_state_dict(torch.load(result.model_path, weights_only=True))
        self._folder.cleanup()
