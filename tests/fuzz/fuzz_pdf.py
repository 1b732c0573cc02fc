"""PDF: octets as a document, as the inside of one, and as input of every filter. All is bounded, nothing is raised."""

from cext.pdf import ascii85, ascii_hex, lzw, run_length, unpredict
from engine.scan.formats.pdf_filters import inflate
from tests.engine.scan.formats.pdf_material import Room, attached, document, object_stream, opened, stream, thing

_LOCK = b"/ID [(id) (id)] /Encrypt << /Filter /Standard /P -4 /O (o) /U (" + b"u" * 48 + b") %s >>"
SEEDS: list[bytes] = [
    attached(b"words"),
    document(object_stream(5, {7: b"<< /F (x) /EF << /F 12 0 R >> >>"}), thing(8, b"<< /JS (words) >>")),
    document(thing(1, b"<< /AA << >> /JS (words) >>"), stream(2, b"x" * 40), trailer=_LOCK % b"/V 1 /R 2"),
    document(thing(1, b"<< /JS (words) >>"), stream(2, b"x" * 40), trailer=_LOCK % b"/V 2 /R 3 /Length 128"),
    document(
        stream(2, b"x" * 48, b"/Filter [/Crypt] /DecodeParms << /Name /StdCF >>"),
        trailer=_LOCK % b"/V 4 /R 4 /CF << /StdCF << /CFM /AESV2 >> >> /StmF /StdCF /StrF /StdCF",
    ),
    document(stream(2, b"x" * 48), trailer=_LOCK % (b"/V 5 /R 6 /UE <" + b"00" * 32 + b"> /OE (x)")),
    document(stream(13, b"800B6050220C0C8501>", b"/Filter [/AHx /LZW]"), stream(14, b"87cURD]~>", b"/Filter /A85")),
]
_ROOM = 1 << 16


def one_input(data: bytes) -> None:
    items = opened(data, Room(_ROOM)) + opened(document(stream(4, data), thing(5, data)), Room(_ROOM))
    assert all(len(getattr(item, "data", b"")) <= _ROOM for item in items)
    for undo in (lzw, run_length, ascii85, ascii_hex):
        assert len(undo(data, _ROOM)[0]) <= _ROOM
    assert len(inflate(data, _ROOM).data) <= _ROOM
    for predictor in (2, 12):
        for bits in (1, 8, 16):
            plain = unpredict(data, predictor, 3, bits, 5)
            assert plain is not None and len(plain) <= len(data)
