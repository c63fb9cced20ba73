"""Dataclasses as plain dictionaries, ready for JSON."""

from __future__ import annotations

import dataclasses
import math
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Turn dataclasses, enumerations and tuples into dictionaries, strings and lists; fields in `_` are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (f.name for f in dataclasses.fields(value) if not f.name.startswith("_"))
        return {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
