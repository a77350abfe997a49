"""Whether a structure is on a slice at all: scores, and what they must reach."""

from __future__ import annotations

HIGH = 0.5  # presence from which a slice is held to show the structure without its neighbours
SURE = 0.7  # presence from which a first look is believed where a second look is known to do better
UNDOUBTED = 0.2  # presence by a second look below which what a first look found is not believed
LOW = 0.3  # presence from which it is held to continue the structure of a neighbour
