"""Texts from a grammar: a file of rules, each with what it may become.

A rule is its name and a colon, then alternatives between `|`; an empty line ends it. In an
alternative `<rule>` stands for what that rule becomes, `<^rule>` for that with a capital letter.
"""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.sample_data.draws import by_weight

SLOT = re.compile(r"<(\^?)(\w+)>")


class Grammar:
    """`evenness`: the larger it is, the less are the first alternatives of a rule favoured."""

    def __init__(self, draw: Random, file: str, *, evenness: int) -> None:
        text = Path(__file__).with_name(file).read_text(encoding="utf-8")
        self._picks = {
            name: _alternatives(draw, rule.split("|"), evenness)
            for name, rule in (block.split(":\n", 1) for block in text.split("\n\n"))
        }

    def write(self, text: str) -> str:
        """The text with every slot filled, and those in what fills them."""
        return SLOT.sub(self._fill, text)

    def _fill(self, slot: re.Match[str]) -> str:
        words = self.write(self._picks[slot[2]]())
        return words[0].upper() + words[1:] if slot[1] else words


def _alternatives(draw: Random, options: list[str], evenness: int) -> Callable[[], str]:
    one_line_each = [" ".join(option.split()) for option in options]
    return by_weight(draw, one_line_each, (10**9 // (n + evenness) for n in range(len(options))))
