"""Building the Aho-Corasick tier: trie, fail links, and the state table that cext/include/match.h runs.

States are numbered breadth first, so fail links always lead to the front and shallow states share cache lines. A state
with many transitions is dense and holds the final target of every class; the others hold only their own transitions.
"""

from array import array
from collections.abc import Mapping, Sequence

DENSE = 255  # MW_AC_DENSE
SPARSE = 16  # MW_AC_SPARSE: most transitions of a sparse state


class _Trie:
    """Nodes by number; 0 is the root. child[n] maps a class to a node, out[n] is the pattern that ends at n or -1."""

    def __init__(self) -> None:
        self.child: list[dict[int, int]] = [{}]
        self.out: list[int] = [-1]

    def add(self, word: bytes, pattern: int) -> None:
        node = 0
        for c in word:
            following = self.child[node].get(c)
            if following is None:
                following = len(self.child)
                self.child[node][c] = following
                self.child.append({})
                self.out.append(-1)
            node = following
        self.out[node] = pattern

    def links(self) -> tuple[list[int], list[int], list[int]]:
        """(nodes breadth first, fail link by node, nearest pattern by node: its own or a suffix's, -1 if none)."""
        fail, nearest, order = [0] * len(self.child), list(self.out), [0]
        for node in order:
            for c, following in sorted(self.child[node].items()):
                order.append(following)
                if node:
                    fail[following] = self.step(fail, fail[node], c)
                if nearest[following] < 0:
                    nearest[following] = nearest[fail[following]]
        return order, fail, nearest

    def step(self, fail: list[int], node: int, c: int) -> int:
        while node and c not in self.child[node]:
            node = fail[node]
        return self.child[node].get(c, 0)


def _classes(words: Sequence[bytes], folded: bool) -> bytes:
    """Class of each octet: octets that no pattern holds share one; folded joins the two cases of a letter."""
    used = sorted(set().union(*words))
    first = 0 if len(used) == 256 else 1
    table = bytearray(256)
    for number, octet in enumerate(used, first):
        table[octet] = number
    if folded:
        for octet in range(ord("A"), ord("Z") + 1):
            table[octet] = table[octet | 0x20]
    return bytes(table)


def _head(count: int) -> int:
    """Words in front of a state's targets: out, fail, count octet and keys."""
    return 3 if count == DENSE else 2 + (count + 4) // 4


def _is_dense(node: int, children: int) -> bool:
    return node == 0 or children > SPARSE


def _pack(trie: _Trie, order: list[int], fail: list[int], nearest: list[int], classes: int) -> "array[int]":
    offset, at = [0] * len(order), 0
    for node in order:
        offset[node] = at
        n = len(trie.child[node])
        at += _head(DENSE) + classes if _is_dense(node, n) else _head(n) + n
    words = array("I")
    for node in order:
        children = trie.child[node]
        words.extend((nearest[node] + 1, offset[fail[node]]))
        if _is_dense(node, len(children)):
            words.append(DENSE)
            words.extend(offset[trie.step(fail, node, c)] for c in range(classes))
        else:
            keys = sorted(children)
            packed = bytes((len(keys), *keys))
            words.frombytes(packed + bytes(-len(packed) % 4))
            words.extend(offset[children[c]] for c in keys)
    return words


def build(patterns: Mapping[int, bytes], folded: bool) -> tuple[bytes, dict[int, int]]:
    """Lay out the automaton of some patterns, given by their number, distinct and not empty; folded ones in lower case.

    Returns the section's octets, and for each pattern the longest other one that is a proper suffix of it.
    """
    table = _classes(list(patterns.values()), folded)
    trie = _Trie()
    for number, octets in sorted(patterns.items(), key=lambda item: item[1]):
        trie.add(octets.translate(table), number)
    order, fail, nearest = trie.links()
    suffixes = {}
    for node in order:
        if trie.out[node] >= 0 and nearest[fail[node]] >= 0:
            suffixes[trie.out[node]] = nearest[fail[node]]
    words = _pack(trie, order, fail, nearest, max(table) + 1)
    return table + words.tobytes(), suffixes
