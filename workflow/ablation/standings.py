"""Where each claim of a document stands in a report: its verdict, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .claims import CONTRADICTED, INCONCLUSIVE, NOT_HERE, NOT_TESTED, SUPPORTED, Verdict
from .config.claim import Document
from .config.claim import Entry as ClaimEntry
from .markup import Column, Entry, Table
from .verdicts import (
    DASH,
    compared_text,
    estimate_text,
    interval_text,
    name_entries,
    notes_of,
    region_text,
    row_id,
    verdict_text,
)

WORDS = (SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_HERE, NOT_TESTED)
"""The verdicts, in the order in which they are told."""
DECIDED, TESTED = WORDS[:2], WORDS[:3]
NO_STUDY = "no study of this project tests it"
_HEADINGS = ("Claim", "It says", "Verdict", "Measured", "Claimed", "n", "Study")


@dataclass(frozen=True)
class Standing:
    """One claim in this report."""

    number: int
    entry: ClaimEntry
    said: str
    """Its verdict with the reason."""
    verdict: Verdict | None = None
    """None where no study of the report asks for it."""
    study: str = ""
    title: str = ""
    """The study's, for readers."""
    elsewhere: bool = False
    """Whether a study tests it that is not in this report."""

    @property
    def word(self) -> str:
        """One of WORDS."""
        return self.said.partition(":")[0]

    @property
    def link(self) -> str:
        """Its row on the page of its study, seen from the first page."""
        return f"studies/{self.study}.html#{row_id(self.number)}" if self.study else ""


def standings(
    document: Document,
    found: Mapping[int, tuple[Verdict, str, str]],
    absent: Mapping[int, str],
) -> list[Standing]:
    """All claims of a document. found: number -> verdict, name and title of its study; absent:
    number -> what is said of a claim whose study is not there."""
    made = []
    for number, entry in document.claims.items():
        if number in found:
            verdict, study, title = found[number]
            made.append(Standing(number, entry, verdict_text(verdict), verdict, study, title))
            continue
        said = absent.get(number, f"{NOT_TESTED}: {entry.untested or NO_STUDY}")
        made.append(Standing(number, entry, said, elsewhere=number in absent))
    return made


def counts(claims: Sequence[Standing]) -> dict[str, int]:
    """How many claims have which verdict, all of WORDS in their order."""
    return {word: sum(c.word == word for c in claims) for word in WORDS}


def tally(claims: Sequence[Standing]) -> str:
    """`19 claims: 3 supported, 16 not tested`."""
    found = [f"{n} {word}" for word, n in counts(claims).items() if n]
    return f"{len(claims)} claims: {', '.join(found)}"


def verdict_table(document: Document, claims: Sequence[Standing]) -> Table:
    """The claims of a document, each number leading to its row on its study's page."""
    rows = tuple((*_first(claim), *_measured(claim)) for claim in claims)
    numeric = ("Claim", "n")
    columns = tuple(Column(h, numeric=h in numeric, header=h == "Claim") for h in _HEADINGS)
    notes = tuple(notes_of([c.verdict for c in claims if c.verdict is not None])[:1])
    caption = f"{document.title}: {len(document.claims)} claims"
    return Table("verdicts", caption, columns, rows, notes)


def _first(claim: Standing) -> tuple[Entry, ...]:
    number, says = name_entries(claim.number, claim.entry, claim.link)
    return number, says, Entry(claim.said, _rank(claim), claim.link, claim.word)


def _rank(claim: Standing) -> str:
    """Verdicts sort in their order, not by their letters."""
    return f"{WORDS.index(claim.word)} {claim.said}"


def _measured(claim: Standing) -> tuple[Entry, ...]:
    study = Entry(claim.title or DASH, link=f"studies/{claim.study}.html" if claim.study else "")
    if claim.verdict is None or claim.verdict.decisive is None:
        return (*(Entry(DASH, math.nan) for _ in _HEADINGS[3:-1]), study)
    shown = claim.verdict.decisive
    interval = interval_text(shown)
    effect = estimate_text(shown) + (f" {interval}" if interval != DASH else "")
    return (
        Entry(effect, shown.estimate, claim.link, below=compared_text(claim.verdict)),
        Entry(region_text(shown)),
        Entry(str(shown.n), shown.n, f"studies/{claim.study}.html#runs"),
        study,
    )


def tally_table(documents: Sequence[tuple[str, str, Sequence[Standing]]]) -> Table:
    """(title, id of its section, claims) of each document -> how many have which verdict."""
    columns = [Column("Document", header=True), Column("Claims", numeric=True)]
    columns += [Column(word.capitalize(), numeric=True) for word in WORDS]
    groups = list(documents)
    if len(groups) > 1:
        groups.append(("All documents", "", [c for _, _, claims in documents for c in claims]))
    rows = []
    for title, place, claims in groups:
        link = f"#{place}" if place else ""
        numbers = [len(claims), *counts(claims).values()]
        rows.append(
            (Entry(title, link=link), *(Entry(str(n), n, link if n else "") for n in numbers))
        )
    total = (len(rows) - 1,) if len(groups) > 1 else ()
    return Table("tally", "Verdicts by document", tuple(columns), tuple(rows), marked=total)
