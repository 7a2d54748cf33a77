"""What the verdicts come to, in sentences that count them. A sentence is texts and links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .claims import CONTRADICTED, INCONCLUSIVE, NOT_HERE, NOT_TESTED, SUPPORTED
from .markup import Link, Sentence
from .sentences import count, listed
from .standings import TESTED, Standing, counts
from .verdicts import compared_text, estimate_text, interval_text, region_text


def overall(documents: Sequence[Sequence[Standing]], scale: str) -> list[Sentence]:
    """The claims of all documents."""
    claims = [claim for document in documents for claim in document]
    n, tested = counts(claims), sum(claim.word in TESTED for claim in claims)
    where = count(len(documents), "document")
    text = f"Of {count(len(claims), 'claim')} in {where}, {tested} "
    text += f"{'was' if tested == 1 else 'were'} tested at {scale} scale"
    parts = [f"{n[word] or 'none'} {word}" for word in TESTED]
    first = f"{text}: {listed(parts)}." if tested else f"{text}."
    found: list[Sentence] = [(first,), *_untested(claims, scale)]
    supported = [c for c in claims if c.word == SUPPORTED]
    if supported:
        found.append(("Supported: ", *_numbers(supported), "."))
    found += [_contradiction(c) for c in claims if c.word == CONTRADICTED]
    several = sum(counts(document)[INCONCLUSIVE] > 0 for document in documents) > 1
    return [*found, *(_open(claims) if several else ())]  # of one document, its section says it


def of_document(claims: Sequence[Standing]) -> list[Sentence]:
    """The claims of one document, by their numbers."""
    parts: list[str | Link] = [f"{count(len(claims), 'claim')}: "]
    for word, n in counts(claims).items():
        if n:
            mine = [c for c in claims if c.word == word]
            which = [" (", *_numbers(mine), ")"] if word in TESTED else []
            parts += [f"{n} {word}", *which, ", "]
    return [(*parts[:-1], "."), *_open(claims)]


def _untested(claims: Sequence[Standing], scale: str) -> list[Sentence]:
    """Why claims were not tested, with their numbers."""
    none = [c for c in claims if c.word == NOT_TESTED]
    reasons = {
        f"{scale} scale cannot carry the comparison": sum(c.word == NOT_HERE for c in claims),
        "the study is not in this report": sum(c.elsewhere for c in none),
        "the runs give no such comparison": sum(c.verdict is not None for c in none),
        "no study of this project tests it": sum(
            c.verdict is None and not c.elsewhere for c in none
        ),
    }
    known = [f"{n} because {why}" for why, n in reasons.items() if n]
    total = sum(reasons.values())
    verb = "was" if total == 1 else "were"
    return [(f"{total} {verb} not tested: {listed(known)}.",)] if known else []


def _contradiction(claim: Standing) -> Sentence:
    verdict = claim.verdict
    shown = verdict.decisive
    text = f" (“{claim.entry.says.rstrip('.')}”): {compared_text(verdict)}, measured "
    text += f"{estimate_text(shown)}, interval {interval_text(shown)}, n = {shown.n}; "
    return ("Contradicted: ", _link(claim, "claim "), f"{text}claimed {region_text(shown)}.")


def _open(claims: Sequence[Standing]) -> list[Sentence]:
    """How near a decision the inconclusive claims are."""
    mine = [c.verdict for c in claims if c.word == INCONCLUSIVE]
    if not mine:
        return []
    inside = sum(all(f.inside for f in v.findings) for v in mine)
    few = sum(min(f.n for f in v.findings) < v.planned.claim.seeds for v in mine)
    if len(mine) == 1:
        text = "The one that is inconclusive "
        text += (
            "came out as the document says, which may be chance"
            if inside
            else ("did not come out as the document says")
        )
        text += "; it has fewer seeds than a verdict takes." if few else "."
    else:
        text = f"Of the {len(mine)} inconclusive, {_part(inside, mine)} came out as the document "
        text += "says" + (", which may be chance" if inside else "")
        verb = "has" if few == 1 else "have"
        text += f"; {_part(few, mine)} {verb} fewer seeds than a verdict takes." if few else "."
    needed = [v.seeds_needed for v in mine if v.seeds_needed is not None]
    if needed:
        low, high = min(needed), max(needed)
        span = count(low, "seed") if low == high else f"{low:,} to {high:,} seeds"
        which = "it" if len(mine) == 1 else "each of them"
        which = which if len(needed) == len(mine) else f"each of {len(needed)}"
        text += f" Were what was seen the truth, {span} would decide {which} in four of five cases."
    return [(text,)]


def _part(n: int, whole: Sequence[object]) -> str:
    return "all" if n == len(whole) > 1 else str(n or "none")


def _numbers(claims: Iterable[Standing]) -> list[str | Link]:
    """`claim 1`, `claims 1, 3 and 11`, each with its link."""
    links = [_link(claim) for claim in claims]
    parts: list[str | Link] = ["claim " if len(links) == 1 else "claims "]
    for i, link in enumerate(links):
        before = "" if not i else " and " if i == len(links) - 1 else ", "
        parts += [before, link] if before else [link]
    return parts


def _link(claim: Standing, before: str = "") -> Link:
    return Link(f"{before}{claim.number}", claim.link)
