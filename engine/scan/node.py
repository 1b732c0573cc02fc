"""The tree of one walk: where each part lies, so that the rewriter decodes again only the path to a changed leaf.

A node's octets lie in a *buffer*: the whole message or file, or the content of the nearest ancestor whose content
had to be decoded. [start, end) is the whole of it in that buffer, [body, end) what `encoding` turns into its
content. While encoding is identity, the children of MIME nodes lie in the same buffer (offsets are comparable);
members of archives lie in the content of the archive.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

# Values of Node.format: what the content is to somebody who wants to change it.
LEAF = "leaf"
MULTIPART = "multipart"
MESSAGE = "message"  # one child: the nested message
TEXT = "text"  # children: UUE and BinHex files inside it
ZIP = "zip"
TAR = "tar"
GZIP = "gzip"  # one child for each gzip member

# Values of Node.role: what it is in its parent.
ENTITY = "entity"  # a MIME entity: header section [start, body), body [body, end)
MARGIN = "margin"  # preamble or epilogue of a multipart
UUE = "uue"  # begin line [start, body), encoded lines and end line [body, end)
BINHEX = "binhex"  # one fork of a file: the text [start, end) from colon to colon has both; key: 0 data, 1 resources
MEMBER = "member"  # of an archive; key tells the archive's kernel which one
FILE = "file"  # the root of a file scan


class Node(msgspec.Struct, eq=False, gc=False):
    """names: every declared file name, best first. viruses: signatures that matched this node itself.

    type, size: of its content, as in the ledger. document: which one a zip is (ooxml.document), package:
    what kind of document's parts it has (ooxml.package). encrypted: something in
    it cannot be read without a password or key, be it its content or one of its members. opened: it was encrypted,
    and a password from the message opened it.
    charset: of an entity, as it declares it.
    alternate: the node exists only in a second reading of its parent, so it cannot be rewritten by itself.
    A tree, so nothing in it need be looked for by the collector of garbage.
    """

    part: str
    role: str
    start: int
    body: int
    end: int
    encoding: str = ""  # content-transfer-encoding in lower case; empty: identity
    format: str = LEAF
    names: tuple[str, ...] = ()
    viruses: tuple[str, ...] = ()
    alternate: bool = False
    key: int = 0
    type: str = ""
    document: str = ""
    package: str = ""
    size: int = 0
    encrypted: bool = False
    opened: bool = False
    charset: str = ""
    children: list[Node] = []

    @property
    def name(self) -> str:
        return self.names[0] if self.names else ""

    @property
    def base(self) -> str:
        """What the paths of its members begin with: `2/invoice.zip` for a container that is part 2."""
        if self.role == ENTITY and self.names:
            return f"{self.part}/{self.names[0]}"
        return self.part

    def everything(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))
