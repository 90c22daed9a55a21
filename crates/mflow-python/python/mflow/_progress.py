"""Who hears a fit: a callback or a bar, and the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

LOGGER = logging.getLogger("mflow")

#: What a callback gets: ``phase``, ``epoch``, ``epochs``, ``step``, ``steps`` and ``loss``.
Callback = Callable[[dict[str, Any]], object]

_WARNING = "warning: "


class Ear:
    """Hears the events of a fit."""

    def __init__(self, progress: bool | Callback | None) -> None:
        self._callback: Callback | None = progress if callable(progress) else None
        self._bar: Any = None
        if progress is True:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                LOGGER.info("a bar of progress needs tqdm; there is none")
            else:
                self._bar = tqdm(total=0, unit="update", leave=False)

    def __call__(self, name: str, said: dict[str, Any]) -> None:
        if name == "told":
            text = said["text"]
            if text.startswith(_WARNING):
                LOGGER.warning(text.removeprefix(_WARNING))
            else:
                LOGGER.info(text)
        elif name == "epoch":
            LOGGER.debug(
                "%s: epoch %d, loss %.3e, validation %.3e",
                said["phase"],
                said["epoch"],
                said["loss"],
                said["validation_loss"],
            )
        elif self._callback is not None:
            self._callback(said)
        elif self._bar is not None:
            self._bar.total = said["steps"]
            self._bar.set_description(f"{said['phase']}: epoch {said['epoch']}/{said['epochs']}")
            self._bar.set_postfix(loss=f"{said['loss']:.3e}", refresh=False)
            self._bar.n = said["step"]
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
