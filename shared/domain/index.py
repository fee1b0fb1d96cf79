"""What the index of an organisation should hold, and what has to be written so that it does."""

from __future__ import annotations

IN_TEXT, IN_KEY = -1, -2
