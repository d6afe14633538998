"""book.txt: a chronicle of a mill, told by a grammar; plain text in UTF-8.

It has what a counter of words meets in books: quotes and apostrophes, typographic and plain,
hyphens, dashes, digits, accents, upper case, _emphasis_; few frequent words and many rare ones.
"""

import re
from random import Random
from textwrap import fill

from benchmarks.sample_data.grammar import Grammar

SEED = 6
CHAPTERS, LEAST_WORDS_PER_CHAPTER = 25, 2000
COLUMNS = 72
# Low, so that the frequencies of words fall off with the rank as they do in a language.
EVENNESS = 6
TITLE = "THE CHRONICLE OF MILLPOND\n\nas set down by those who kept its sluice"
UNITS = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
NUMERALS = [ten + unit for ten in ("", "X", "XX") for unit in UNITS][1 : CHAPTERS + 1]

WORD = re.compile(r"\w+")
# The grammar says `a`, and does not know what follows; before `one` that is right.
BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeiouéAEIOUÉ])(?!one)")


def make_book() -> bytes:
    """The file: a title, then chapters of paragraphs, with an empty line between."""
    grammar = Grammar(Random(SEED), "book_grammar.txt", evenness=EVENNESS)
    chapters = [block for numeral in NUMERALS for block in _chapter(grammar, numeral)]
    return "\n\n".join((TITLE, *chapters, "THE END\n")).encode()


def _chapter(grammar: Grammar, numeral: str) -> list[str]:
    blocks = [f"CHAPTER {numeral}", _block(grammar, "<^title>"), _block(grammar, "<^opening>")]
    while sum(len(WORD.findall(block)) for block in blocks) < LEAST_WORDS_PER_CHAPTER:
        blocks.append(_block(grammar, "<^paragraph>"))
    return blocks


def _block(grammar: Grammar, text: str) -> str:
    written = BEFORE_VOWEL.sub(r"\1n ", grammar.write(text))
    return fill(written, COLUMNS, break_long_words=False, break_on_hyphens=False)
