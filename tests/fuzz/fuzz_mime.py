"""Delimiters and header sections: the first octets are the boundary, up to its length in octet 0."""

from cext.mime import delimiters, delimiters_scalar, header_end, header_end_scalar, section, trailing_blank
from tests.cext.test_mime_section import section as plain_section
from tests.oracles import mime as oracle


def one_input(data: bytes) -> None:
    if not data:
        return
    boundary, text = data[1 : 1 + data[0] % 8], data[1 + data[0] % 8 :]
    want = oracle.delimiters(text, 0, len(text), boundary, 50)
    assert delimiters(text, 0, len(text), boundary, 50) == want
    assert delimiters_scalar(text, 0, len(text), boundary, 50) == want
    end = oracle.header_end(text, 0, len(text))
    assert header_end(text, 0, len(text)) == header_end_scalar(text, 0, len(text)) == end
    body, _, not_field, blank, wanted = section(text, 0, len(text), len(text) + 1, len(text) + 1)
    assert (body, not_field, blank, wanted) == plain_section(text)
    assert trailing_blank(text, 0, len(text)) == trailing_blank(text, 0, len(text), False)
