"""A queue on a file system of its own that is full: a real one, in a room where only the gateway sees it."""

import os
import re
import smtplib

from tests.system.harness import Gateway, Mailbox, until

# With privileges of their own, where the tests have none.
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
MOUNT = 'mount -t tmpfs -o size=40m,mode=0777 queue "$0" && exec "$@"'
LINES = b"A line of this mail is as good as any other.\r\n" * 20_000


def test_a_full_disk_refuses_for_now_loses_nothing_and_recovers(gateway: Gateway, mailbox: Mailbox) -> None:
    """PROC-03, DIR-02: 452 and nothing half accepted; what was accepted arrives once, and then there is room again."""
    gateway.within = [*UNSHARE, "sh", "-c", MOUNT, str(gateway.root / "queue")]
    gateway.configure(delivery={"pause": True})
    gateway.start()
    accepted: list[int] = []
    refused = 0
    with gateway.client() as smtp:
        for number in range(100):
            try:
                smtp.sendmail("sender@example.net", ["user@example.com"], _mail(number))
                accepted.append(number)
            except smtplib.SMTPResponseException as error:
                refused = error.smtp_code
                break
    assert refused == 452 and len(accepted) > 10
    gateway.apply(delivery={"pause": False})
    mailbox.wait(len(accepted))

    def takes_mail() -> bool:
        try:
            gateway.send(_mail(1000))
        except smtplib.SMTPResponseException as error:
            assert error.smtp_code == 452
            return False
        return True

    until(takes_mail, "there is room again")
    numbers = [int(re.findall(rb"Subject: number (\d+)", mail.content)[0]) for mail in mailbox.wait(len(accepted) + 1)]
    assert sorted(numbers) == [*accepted, 1000]


def _mail(number: int) -> bytes:
    return b"Subject: number %d\r\n\r\n" % number + LINES
