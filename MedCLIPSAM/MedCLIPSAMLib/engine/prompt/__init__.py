"""What to look for: texts, points and how they are shown to the segmenter; and a library of prompts."""

from __future__ import annotations

from .prompt import Point, Prompt, PromptSet

__all__ = ["Point", "Prompt", "PromptSet"]
