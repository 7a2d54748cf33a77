"""What is read from YAML means one thing, and no file stops the planner: each by its line."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import yaml

from ablation.config.load import read_json, read_yaml
from ablation.errors import ConfigError


def said(path: Path, text: str) -> str:
    """What is said of a file with this text, without its path."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_json(path) if path.suffix == ".json" else read_yaml(path)
    assert caught.type is ConfigError
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 400
    return message.removeprefix(str(path)).lstrip(":")


BASE_60 = (
    "is a number to base 60 for some readers of YAML; write a plain number in the key's own unit"
)
# value -> what is said of it, and what to write
AMBIGUOUS = {
    "24:00:00": f"24:00:00 {BASE_60}, or '24:00:00' in quotes for a text",
    "1:30": f"1:30 {BASE_60}, or '1:30' in quotes for a text",
    "1:30.5": f"1:30.5 {BASE_60}, or '1:30.5' in quotes for a text",
    "010": "010 begins with 0, so some readers count by eights; write 10, or '010' in quotes for a "
           "text",
    "016000": "016000 begins with 0, so some readers count by eights; write 16000, or '016000' in "
              "quotes for a text",
    "-08": "-08 begins with 0, so some readers count by eights; write -8, or '-08' in quotes for a "
           "text",
    "yes": "yes is true to some readers of YAML and text to others; write true, or 'yes' in quotes "
           "for a text",
    "Off": "Off is false to some readers of YAML and text to others; write false, or 'Off' in "
           "quotes for a text",
    "0x1F": "0x1F is no decimal number; write 31, or '0x1F' in quotes for a text",
    "0b101": "0b101 is no decimal number; write 5, or '0b101' in quotes for a text",
    "0o17": "0o17 is no decimal number; write 15, or '0o17' in quotes for a text",
    "1_000": "1_000 is a number to some readers of YAML and text to others; write 1000, or '1_000' "
             "in quotes for a text",
    "1_0.5": "1_0.5 is a number to some readers of YAML and text to others; write 10.5, or '1_0.5' "
             "in quotes for a text",
    "2024-01-31": "2024-01-31 is a date to some readers of YAML; write '2024-01-31', in quotes",
    "2024-13-45": "2024-13-45 is a date to some readers of YAML; write '2024-13-45', in quotes",
    "2024-01-31 10:00:00": "2024-01-31 10:00:00 is a date to some readers of YAML; write "
                           "'2024-01-31 10:00:00', in quotes",
}  # fmt: skip


@pytest.mark.parametrize("value", AMBIGUOUS)
def test_a_value_with_two_meanings_is_refused_with_what_to_write(tmp_path, value):
    expected = AMBIGUOUS[value]
    assert said(tmp_path / "a.yaml", f"a: 1\nb: {value}\n") == f"2:4: {expected}"
    assert said(tmp_path / "a.yaml", f"a: [1, {value}]\n") == f"1:8: {expected}"
    assert said(tmp_path / "a.yaml", f"{value}: 1\n") == f"1:1: {expected}"
    (tmp_path / "a.yaml").write_text(f"b: '{value}'\n")
    assert read_yaml(tmp_path / "a.yaml") == {"b": value}


def plain_values() -> list[str]:
    """Every short text of the characters that numbers are made of; words and dates."""
    short = ["".join(t) for n in (1, 2, 3) for t in itertools.product("01+-._:eExob", repeat=n)]
    short += ["".join(t) for t in itertools.product("01:._e", repeat=4)]
    words = "~ null NULL nUll true TRUE tRue false y n Y N yes no on off .inf -.Inf .NAN +.inf <<"
    numbers = "1e-3 1E5 -1.5e+10 1.e5 .5 5. +.5 -.5 +1 0 00 0.1 00.5 12:30:45 190:20:30.15 0x_1"
    dates = "2024-01-01 2024-1-1 2024-1-1T1:1:1Z 2024-01 1999-01-01t10:00:00"
    return [*short, *words.split(), *numbers.split(), *dates.split()]


def test_what_is_read_means_the_same_to_pyyaml(tmp_path):
    """Snakemake and others read with it. Only numbers that YAML 1.2 alone has are read otherwise:
    texts to PyYAML, of the same digits."""
    path, refused, newer = tmp_path / "a.yaml", 0, 0
    for text in plain_values():
        path.write_text(f"a: {text}\n")
        try:
            theirs = yaml.safe_load(path.read_text())["a"]
        except (yaml.YAMLError, ValueError, TypeError, IndexError):
            theirs = None
        try:
            ours = read_yaml(path)["a"]
        except (ConfigError, TypeError):
            refused += 1
            continue
        if isinstance(ours, float) and theirs == text:
            newer += 1
            assert float(text) == ours
        elif isinstance(ours, float) and math.isnan(ours):
            assert math.isnan(theirs)
        else:
            assert (type(ours), ours) == (type(theirs), theirs), text
    assert refused > 300 and newer > 30


BRACKETS = "nested more than 32 deep; nothing here needs that"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in itertools.pairwise("abcdefg")
)
# name -> (content, what is said)
KILLERS = {
    "30,000 brackets": ("a: " + "[" * 30_000, f"1:36: {BRACKETS}"),
    "900 keys": ("".join(" " * i + "a:\n" for i in range(900)), f"33:33: {BRACKETS}"),
    "3,000 lists": ("- " * 3000 + "a", f"1:67: {BRACKETS}"),
    "3,000 braces": ("{a: " * 3000, f"1:130: {BRACKETS}"),
    "brackets as a key": ("? " + "[" * 3000, f"1:35: {BRACKETS}"),
    "aliases of aliases": (BOMB, "5:36: more than 100,000 values, those of aliases included"),
    "alias of itself": ("a: &a [*a]", "1:8: *a stands inside what it names"),
    "alias of a mapping in itself": ("a: &a {b: *a}", "1:11: *a stands inside what it names"),
    "alias of nothing": ("a: *b", "1:4: there is no anchor &b above"),
    "an anchor twice": ("a: &a 1\nb: &a 2", "2:4: the anchor &a stands here twice"),
    "200,000 values": ("[" + "1," * 200_000 + "]",
                       "1:200000: more than 100,000 values, those of aliases included"),
    "longer than a megabyte": ("a: " + "x" * 1024**2, " longer than 1,048,576 bytes; no such file "
                                                      "needs that"),
    "a long key": ("k" * 300 + ": 1", "1:1: a key of more than 200 characters"),
    "a number of thousands of digits": ("a: " + "9" * 5000, "1:4: a number of 5000 characters"),
    "a float of thousands of digits": ("a: 0." + "9" * 5000, "1:4: a number of 5002 characters"),
    "two documents": ("a: 1\n---\nb: 2", "2:1: a second document begins here; a file holds one"),
    "a key twice": ("a: 1\na: 2", "2:1: key 'a' stands here twice"),
    "a key twice, as number and text": ("1: 1\n'1': 2", "2:1: key '1' stands here twice"),
    "a key twice, as two kinds of number": ("1: 1\n1.0: 2", "2:1: key '1.0' stands here twice"),
    "a list as a key": ("? [a]\n: 1", "1:3: a list or a mapping is no plain key"),
    "a tag": ("a: !!int 5", "1:4: the tag !!int is refused; write plain values"),
    "a merge key": ("<<: {a: 1}", "1:1: merge keys (<<) are not read; write the keys out"),
    "a control character": ("a: \x07", " control characters are not allowed"),
}  # fmt: skip


@pytest.mark.parametrize("case", KILLERS)
def test_a_file_that_could_stop_the_planner_is_refused(tmp_path, case):
    text, expected = KILLERS[case]
    assert said(tmp_path / "a.yaml", text) == expected


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="is no regular file"):
        read_yaml(tmp_path / "a.yaml")


def test_aliases_are_read(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a [1, {b: x}]\nc: *a\nd: &t text\ne: *t\n")
    content = {"a": [1, {"b": "x"}], "c": [1, {"b": "x"}], "d": "text", "e": "text"}
    assert read_yaml(tmp_path / "a.yaml") == content


JSON = {
    "a key twice": ('{"a": 1, "b": {"c": 1, "c": 2}}',
                    " not valid JSON (key 'c' stands there twice)"),
    "not a number": ('{"a": NaN}', " not valid JSON (NaN is no number of JSON)"),
    "200,000 brackets": ("[" * 200_000, " not valid JSON (nested too deep)"),
    "cut short": ('{"a": ', " not valid JSON (Expecting value: line 1 column 7 (char 6))"),
}  # fmt: skip


@pytest.mark.parametrize("case", JSON)
def test_a_lock_is_read_as_strictly(tmp_path, case):
    text, expected = JSON[case]
    assert said(tmp_path / "a.json", text) == expected


def test_a_lock_of_any_size_is_not_read_whole(tmp_path):
    path = tmp_path / "a.json"
    with open(path, "wb") as file:
        file.truncate(1024**3)  # takes no room on the disk
    with pytest.raises(ConfigError, match="longer than 16,777,216 bytes"):
        read_json(path)
    path.write_text(json.dumps({"a": [1, 2.5, "x", None]}))
    assert read_json(path) == {"a": [1, 2.5, "x", None]}
