"""What gateways send to the quarantine server: any octets are taken or Malformed, whole and octet by octet alike."""

from control.quarantine_server.protocol import Item, Malformed, UploadReader, result_of, upload_head

SEEDS = [
    upload_head(Item("0" * 32, "a" * 64, 3, "a.exe", recipients=("bob@example.com",))) + b"abc",
    b'{"state":"delivered","time":"","recipients":[{"recipient":"a@b","delivered":true,"reply":"250"}]}',
]


def _taken(pieces: list[bytes]) -> tuple[Item, bytes] | None:
    reader = UploadReader()
    try:
        content = b"".join(map(reader.feed, pieces))
        return reader.finish(), content
    except Malformed:
        return None


def one_input(data: bytes) -> None:
    whole = _taken([data])
    assert whole == _taken([data[at : at + 1] for at in range(len(data))])
    if whole is not None:
        assert _taken([upload_head(whole[0]), whole[1]]) == whole
    try:
        result_of(data)
    except Malformed:
        return
