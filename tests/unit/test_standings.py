"""Where claims stand, and the sentences that count them: none says more than the verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic import collected, config_dir

from ablation import claims, summary
from ablation.config.load import load_register
from ablation.grid import Planner
from ablation.markup import Link, plain_text
from ablation.report_documents import _absent
from ablation.standings import Standing, counts, standings, tally, tally_table, verdict_table

FIG1 = "aime_fig1_constant_lr"


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[int, tuple[claims.Verdict, str, str]]:
    """Verdicts of one study with two seeds: five are inconclusive, two cannot be tested."""
    plan = Planner(config_dir()).plan(FIG1, "demo")
    data = collected(plan, tmp_path_factory.mktemp("fig1"))
    return {v.planned.number: (v, FIG1, "Constant rates") for v in claims.verdicts(data)}


def documents(found, absent=None) -> list[list[Standing]]:
    register = load_register(config_dir())
    return [standings(document, found, absent or {}) for document in register.documents]


def decided(found, **words: str):
    """The same with other words: `c1="supported"`."""
    changed = dict(found)
    for key, word in words.items():
        verdict, *rest = found[int(key[1:])]
        changed[int(key[1:])] = (replace(verdict, verdict=word, reason=""), *rest)
    return changed


def texts(sentences) -> list[str]:
    return [plain_text(sentence) for sentence in sentences]


def test_every_claim_stands_somewhere(found):
    every = documents(found, {6: "not tested: so"})
    assert [c.number for document in every for c in document] == list(range(1, 84))
    by_number = {c.number: c for document in every for c in document}
    assert by_number[1].word == "inconclusive" and by_number[2].word == "not tested at this scale"
    assert by_number[6].said == "not tested: so" and by_number[6].elsewhere
    assert by_number[7].said == "not tested: no study of this project tests it"
    assert by_number[77].said.startswith("not tested: it wants gradients")
    assert tally(every[0]) == "19 claims: 5 inconclusive, 2 not tested at this scale, 12 not tested"


def test_numbers_of_the_tables_lead_to_their_evidence(found):
    register, every = load_register(config_dir()), documents(found)
    table = verdict_table(register.documents[0], every[0])
    rows = {int(row[0].text): row for row in table.rows}
    page = f"studies/{FIG1}.html"
    assert [entry.link for entry in rows[1]] == [
        *(f"{page}#claim-1", "", f"{page}#claim-1", f"{page}#claim-1"),
        *("", f"{page}#runs", page),
    ]
    assert rows[1][2].mark == "inconclusive" and rows[1][3].below.startswith("Top-1, last epoch")
    assert "[" in rows[1][3].text and "points" in rows[1][3].text
    assert not any(entry.link for entry in rows[7])
    total = tally_table([("A", "a", every[0]), ("B", "b", every[1])])
    assert [e.text for e in total.rows[2]] == ["All documents", "44", "0", "0", "5", "2", "37"]
    assert [bool(e.link) for e in total.rows[0]] == [True, True, False, False, True, True, True]


def test_the_summary_counts_what_the_verdicts_are(found):
    every = documents(found, {6: "not tested: so"})
    said = texts(summary.overall(every, "demo"))
    assert said == [
        "Of 83 claims in 5 documents, 5 were tested at demo scale: none supported, none "
        "contradicted and 5 inconclusive.",
        "78 were not tested: 2 because demo scale cannot carry the comparison, 1 because the study "
        "is not in this report and 75 because no study of this project tests it.",
    ]
    of_aime = texts(summary.of_document(every[0]))
    assert of_aime[0] == (
        "19 claims: 5 inconclusive (claims 1, 4, 5, 17 and 18), 2 not tested at this scale, 12 not "
        "tested."
    )
    inside = sum(all(f.inside for f in found[n][0].findings) for n in (1, 4, 5, 17, 18))
    words = {0: "none", 5: "all"}.get(inside, str(inside))
    assert of_aime[1].startswith(
        f"Of the 5 inconclusive, {words} came out as the document says, which may be chance; all "
        "have fewer seeds than a verdict takes."
    )
    assert texts(summary.of_document(every[1])) == ["25 claims: 25 not tested."]


def test_decided_claims_are_named_with_their_numbers(found):
    every = documents(decided(found, c1="supported", c4="supported", c5="contradicted"))
    sentences = summary.overall(every, "demo")
    said = texts(sentences)
    assert said[0].endswith("5 were tested at demo scale: 2 supported, 1 contradicted and 2 "
                            "inconclusive.")  # fmt: skip
    assert said[2] == "Supported: claims 1 and 4."
    assert [part.to for part in sentences[2] if isinstance(part, Link)] == [
        f"studies/{FIG1}.html#claim-{n}" for n in (1, 4)
    ]
    shown = found[5][0].findings[0]
    assert said[3].startswith("Contradicted: claim 5 (“Of five constant rates 0.1 is the best")
    assert f"measured {shown.estimate:.2f} points".replace("-", "−") in said[3]
    assert "n = 2; claimed > 0." in said[3]
    assert counts(every[0])["supported"] == 2


def test_one_open_claim_is_told_as_one(found):
    only = {1: found[1], 2: found[2]}
    said = texts(summary.of_document(documents(only)[0]))[1]
    assert said.startswith("The one that is inconclusive ") and " 1 " not in said.split("seeds")[0]
    assert ("which may be chance" in said) == all(f.inside for f in found[1][0].findings)


def test_the_comparison_that_is_shown_is_the_one_that_so_many_seeds_decide(found):
    """Of an open claim: the fewest seeds that contradict it, else the most that support it."""
    verdict = found[1][0]
    one = verdict.findings[0]

    def shown(*findings: tuple[bool, int]) -> tuple[int, int]:
        made = [replace(one, inside=inside, seeds_needed=n) for inside, n in findings]
        mine = replace(verdict, findings=tuple(made))
        return mine.decisive.seeds_needed, mine.seeds_needed

    assert shown((False, 13), (False, 9)) == (9, 9)
    assert shown((True, 6), (True, 10)) == (10, 10)
    assert shown((True, 30), (False, 12)) == (12, 12)


def test_a_claim_of_another_scale_is_not_a_matter_of_the_report_s_studies():
    """A study that is not in the report would not test it at this scale either."""
    said = _absent(config_dir(), "demo")
    assert said[2].startswith("not tested at this scale: ")  # level, which demo does not reach
    assert said[1] == f"not tested: study {FIG1} is not in this report"


def test_nothing_tested_is_said_so(found):
    only = {n: v for n, v in found.items() if v[0].verdict == claims.NOT_HERE}
    said = texts(summary.overall(documents(only), "demo"))
    assert said[0] == "Of 83 claims in 5 documents, 0 were tested at demo scale."
    assert len(said) == 2
