"""Lines of settings in a file, against what tomllib reads from the same text."""

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.base import Path
from engine.config.lines import lines_of

ODD = '''# [not.a.table]
top = "a [string] # no comment" # a comment = with [signs]
dotted.inner . 'key with ]' = 1
"quoted \\u0041 \\"x\\"" = """
[still.text]
x = 1
""""

[ table . "sub" ]
many = [ # comment ]
  "one",
  [ 2, 3 ],
  { a = 4, b = { c = 5 } },
  \'\'\'
[[text]]
\'\'\',
]
time = 1979-05-27T07:32:00Z
empty = []
none = {}
float = -1e5

[[rows]]
name = 'first'
[rows.below]
x = 1
[[rows.inner]]
y = 1
[[rows.inner]]
y = 2
[[rows]]
[rows.below]
x = 2
[[rows.inner]]
y = 3
'''


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from paths(below, (*path, index))


def test_every_form_of_toml() -> None:
    """PROC-15: nested tables, arrays of tables and values over several lines have their own lines."""
    found = lines_of(ODD)
    assert set(found) == set(paths(tomllib.loads(ODD)))
    text = ODD.splitlines()
    for path, words in [
        (("top",), "top ="),
        (("dotted", "inner", "key with ]"), "dotted.inner"),
        (('quoted A "x"',), "quoted"),
        (("table", "sub"), "[ table"),
        (("table", "sub", "many", 0), '"one"'),
        (("table", "sub", "many", 1, 1), "[ 2, 3 ]"),
        (("table", "sub", "many", 2, "a"), "a = 4"),
        (("table", "sub", "many", 2, "b", "c"), "c = 5"),
        (("table", "sub", "many", 3), "'''"),
        (("table", "sub", "float"), "float"),
        (("rows", 0, "name"), "first"),
        (("rows", 0, "below", "x"), "x = 1"),
        (("rows", 0, "inner", 1, "y"), "y = 2"),
        (("rows", 1, "below", "x"), "x = 2"),
        (("rows", 1, "inner", 0, "y"), "y = 3"),
    ]:
        assert words in text[found[path] - 1], path
    assert text[found["rows", 1] - 1] == "[[rows]]" and found["rows", 1] > found["rows", 0, "inner", 1]


KEY = st.sampled_from(["a", "b-1", '"q[#"', "'l='", "c . d", '"\\t\\u00e4"'])
SCALAR = st.sampled_from(["1", "true", "'x # [y'", '"e\\"]"', '"""m\n[t]\n"""', "'''\n''''''"[:7], "1.5", "2020-01-01"])


def compound(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arrays = st.lists(value, max_size=3).map(lambda v: "[" + ",".join(f"\n {one} # ]\n" for one in v) + "]")
    tables = st.dictionaries(KEY, value, max_size=2).map(
        lambda t: "{ " + ", ".join(f"{key} = {one}" for key, one in t.items()) + " }"
    )
    return arrays | tables


VALUE = st.recursive(SCALAR, compound, max_leaves=6)
HEAD = st.builds(lambda keys, twice: f"[[{keys}]]" if twice else f"[ {keys} ]", KEY, st.booleans())
LINE = st.builds("{} = {}".format, KEY, VALUE) | HEAD | st.sampled_from(["", "# [c] = 1", "\t"])


@settings(max_examples=500, deadline=None)
@given(st.lists(LINE, max_size=8).map("\n".join), st.sampled_from(["\n", "\r\n"]))
def test_same_paths_as_tomllib(text: str, end: str) -> None:
    """PROC-15: whatever tomllib reads has a line, within the text, and nothing else has."""
    text = text.replace("\n", end)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines_of(text)
    assert set(found) == set(paths(values))
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=10))
def test_each_value_is_on_its_line(gaps: list[int]) -> None:
    text = "x = [\n" + "".join("\n" * gap + f" {number},\n" for number, gap in enumerate(gaps)) + "]\n"
    found = lines_of(text)
    for number in range(len(gaps)):
        assert text.splitlines()[found["x", number] - 1].strip() == f"{number},"


def test_work_grows_with_the_text() -> None:
    """Counting from the beginning for each value would look at each character as often as there are values."""
    counted = 0

    class Counting(str):
        def count(self, *arguments: Any) -> int:
            nonlocal counted
            counted += arguments[2] - arguments[1]
            return super().count(*arguments)

    text = Counting("x = [\n" + "1,\n" * 5000 + "]\n")
    assert len(lines_of(text)) == 5001
    assert counted <= len(text)
