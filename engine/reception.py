"""What sessions ask about a sender and its recipients: relay rules and, where their action is Reject, block lists.

The relay rule decides at once, or after the names of the client were looked up. Block lists are asked from MAIL on and
answered for at each RCPT, which has to be accepted otherwise (DNSBL-06, DNSBL-07): so the lookups of a transaction are
made once and cost a client that pipelines little time. What cannot be found out in time speaks for the sender.

Mail for the postmaster of this host is taken from everybody (RFC 5321 s4.5.1), by whatever name it is routed; if it is
not routed, the first administrator gets it. Without an administrator there is nobody, and it is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from engine.config import ListAction, Settings
from engine.dns import DnsFailure, Resolver
from engine.policy import block_list, white_list
from engine.relay_rule import Decision, RelayRule, Source
from engine.replies import Reply
from engine.sender.block_lists import BlockListClient
from engine.smtp.address import domain_of
from engine.smtp.gate import ACCEPTED, Answer, ClientInfo

_DENIED = Answer(Reply.RELAY_DENIED)
_NAMED_LEN: Final = 400  # of block lists; a reply line has 512 octets at most (RFC 5321 s4.5.3.1.5)


class Reception:
    """By one set of settings: a reload makes a new one, while the client of the block lists stays.

    is_local: as for RelayRule. hostname: ours.
    """

    def __init__(
        self,
        settings: Settings,
        is_local: Callable[[str], bool],
        resolver: Resolver,
        lists: BlockListClient,
        hostname: str,
    ) -> None:
        self.rule = RelayRule(settings.relay, is_local)
        self._blocking = settings.blocking
        self._resolver = resolver
        self._lists = lists
        self._postmaster = f"postmaster@{hostname}".lower()
        administrators = settings.notifications.administrators
        self._administrator = "" if is_local(hostname.lower()) or not administrators else administrators[0]
        block_lists = settings.blocking.block_lists
        self._rejects = block_lists.action is ListAction.REJECT and any(one.enabled for one in block_lists.lists)

    def mail(self, client: ClientInfo, reverse_path: str) -> asyncio.Future[Answer] | None:
        """As Gate.mail. Who is on the white list is not looked up (DNSBL-07): if that has to be confirmed (WL-05), it
        takes the message to tell, and what the lists say is found out after it."""
        if not self._rejects or client.submitter or white_list.entry_for(reverse_path, self._blocking):
            return None
        return asyncio.ensure_future(self._sender(client, reverse_path))

    def wants_certificate(self, client: ClientInfo) -> bool:
        """As Gate.wants_certificate."""
        return self.rule.wants_certificate(client.address)

    def rcpt(self, client: ClientInfo, reverse_path: str, forward_path: str) -> Answer | Awaitable[Answer]:
        """As Gate.rcpt (RELAY-01..11): each recipient is judged on its own."""
        if self._administrator and forward_path.lower() == self._postmaster:
            return Answer(instead=self._administrator)
        domain = domain_of(forward_path)
        source = Source(client.address, client.names, client.tls_names, reverse_path)
        ruling = self.rule.decide(source, domain)
        if ruling.decision is Decision.ALLOWED or client.submitter:  # RELAY-14
            return ACCEPTED
        if ruling.decision is Decision.NEEDS_NAMES:
            return self._rcpt_by_name(client, source, domain)
        if ruling.decision is Decision.REFUSED:
            return _DENIED
        return Answer(fields=ruling.fields)

    async def _rcpt_by_name(self, client: ClientInfo, source: Source, domain: str) -> Answer:
        client.names = await self._resolver.confirmed_names(client.address)
        ruling = self.rule.decide(source._replace(names=client.names), domain)
        return _DENIED if ruling.decision is Decision.REFUSED else Answer(fields=ruling.fields)

    async def _sender(self, client: ClientInfo, reverse_path: str) -> Answer:
        try:
            async with asyncio.timeout(self._blocking.block_lists.timeout_s):
                return await self._by_block_lists(client, reverse_path)
        except (TimeoutError, DnsFailure):
            return ACCEPTED  # DNSBL-09

    async def _by_block_lists(self, client: ClientInfo, reverse_path: str) -> Answer:
        listed = self.rule.is_listed(client.address, client.names)
        if listed is None:
            client.names = await self._resolver.confirmed_names(client.address)
            listed = self.rule.is_listed(client.address, client.names)
        if listed:
            return ACCEPTED  # DNSBL-03
        listings = await self._lists.ask(client.address, self._blocking.block_lists)
        named = block_list.refusal(reverse_path, listings, self._blocking)
        return Answer(Reply.BLOCK_LISTED, named[:_NAMED_LEN]) if named else ACCEPTED
