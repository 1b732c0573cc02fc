"""The octets after DATA: any cut gives what the oracle says. The first octet chooses the cut, the second the limit."""

from cext.smtp_data import ChunkChecker, DataDecoder, dot_stuff
from tests.oracles import smtp_data as oracle


def one_input(data: bytes) -> None:
    if len(data) < 2:
        return
    step, limit, stream = data[0] + 1, data[1] * 8, data[2:]
    for scalar in (False, True):
        decoder, output, used = DataDecoder(limit, scalar=scalar), b"", 0
        checker = ChunkChecker(limit, scalar=scalar)
        for at in range(0, len(stream), step):
            checker.feed(stream[at : at + step])
            output += decoder.feed(stream[at : at + step])
            used += decoder.consumed
        want = oracle.data(stream, limit)
        seen = (output, used, decoder.done, decoder.error, decoder.in_header, decoder.size, decoder.hops)
        assert seen == (want.output, want.used, want.done, want.error, want.in_header, want.size, want.hops)
        checker.finish()
        assert (checker.error, checker.size) == (oracle.chunks(stream, limit).error, len(stream))
    assert dot_stuff(stream, True) == oracle.dot_stuff(stream, True)
