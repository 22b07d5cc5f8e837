"""What happened in a run: one row an epoch, as a list and as a CSV file."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .callbacks import Kept, Part
from .loop import check_finite

log = logging.getLogger(__name__)

LEAD = ("epoch", "step", "seconds", "lr")  # the first columns of every row
LOSS = "loss_"  # goes before the name of a loss term; a metric has its bare name


class History:
    """One row an epoch: ``epoch step seconds lr``, each ``loss_`` term's mean, metrics with n.

    Attributes:
        rows: In order. ``epoch`` counts from 1; ``step`` and ``seconds`` are totals at its end;
            ``lr`` is that of its last step.
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None):
        self.rows = list(rows or [])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return self.rows[at]

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no epoch yet)"
        last = ", ".join(
            f"{name} {value:.4g}" for name, value in self.rows[-1].items()
            if isinstance(value, int | float) and not name.endswith("_n")
        )  # fmt: skip
        return f"History({len(self.rows)} rows; the last: {last})"

    @property
    def columns(self) -> list[str]:
        """Every column in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def values(self, name: str) -> list[Any]:
        """One column; None where a row has no such value."""
        return [row.get(name) for row in self.rows]

    def write(self, path: Path) -> None:
        """The rows as CSV. The file takes its name only once it is whole."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        part = path.with_name(f".{path.name}.part")
        part.write_text(text.getvalue(), encoding="utf-8")
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> History:
        """The rows of a CSV that ``write`` made."""
        with path.open(newline="", encoding="utf-8") as lines:
            rows = [
                {k: _value(v) for k, v in row.items() if v != ""} for row in csv.DictReader(lines)
            ]
        return cls(rows)


class Record(Part):
    """Average each loss term over an epoch, and write a row when it is over.

    Args:
        path: The CSV, or None for none.
        lag: Steps between looks at the terms on a GPU, where each look waits for it.
    """

    order = 10

    def __init__(self, path: Path | None = None, lag: int = 16):
        self.path, self.lag, self.history = path, lag, History()
        self._sums: dict[str, float] = {}
        self._count = 0
        self._pending: list[tuple[int, list[str], Tensor]] = []

    def before_train(self) -> None:
        if not self.learn.first_batch:
            self._sums, self._count = {}, 0

    def after_batch(self) -> None:
        if not self.training or not self.learn.terms:
            return
        terms = self.learn.terms
        self._pending.append((self.step, list(terms), torch.stack([*terms.values()]).float()))
        if self._pending[0][2].device.type == "cpu" or len(self._pending) >= self.lag:
            self.flush()

    def flush(self) -> None:
        """Bring the terms in from the device, and stop at the first that is not finite."""
        pending, self._pending = self._pending, []
        for step, names, values in pending:
            terms = dict(zip(names, values.tolist(), strict=True))
            check_finite(step, terms)
            self._count += 1
            for name, value in terms.items():
                self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Each loss term's mean over this epoch so far."""
        return {name: total / max(1, self._count) for name, total in self._sums.items()}

    def before_validate(self) -> None:
        self.flush()

    def after_epoch(self) -> None:
        self.flush()
        lead = (self.epoch + 1, self.step, round(self.learn.seconds(), 1), self.learn.rate)
        losses = {LOSS + name: mean for name, mean in self.means().items()}
        row = dict(zip(LEAD, lead, strict=True)) | losses | self.learn.scores
        self.history.rows.append(row)
        log.info("%s", describe(row), extra={"values": row})
        if self.path is not None:
            self.history.write(self.path)

    def keep(self) -> Kept:
        self.flush()
        return {}, {"rows": self.history.rows, "sums": self._sums, "count": self._count}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.history = History(facts["rows"])
        self._sums, self._count = dict(facts["sums"]), facts["count"]


def describe(row: dict[str, Any]) -> str:
    """A row as one line for a person."""
    numbers = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    return ", ".join(numbers)


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
