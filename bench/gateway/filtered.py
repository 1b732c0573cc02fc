"""Postfix with what people put beside it to scan mail: rspamd (milter) or amavisd-new (second pass), and clamd.

Both find EICAR only: one signature of our own, so that nothing has to be fetched, and clamd is as fast as it can be.
rspamd gives clamd attachments only, which is its default; amavis drops what is infected after it was accepted.
The mail of the bench repeats, that of the world does not: clamd keeps no list of what it has seen.
"""

import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from bench.gateway.corpus import EICAR
from bench.gateway.peers import Postfix, descendants
from bench.ports import free_port

START_S = 180.0  # rspamd compiles its expressions first

CLAMD_CONF = """\
LocalSocket {work}/clamd.sock
LocalSocketMode 666
DatabaseDirectory {work}/db
LogFile {work}/clamd.log
Foreground yes
TemporaryDirectory {work}/tmp
StreamMaxLength 50M
SelfCheck 0
DisableCache yes
"""
MILTER = """\
smtpd_milters = inet:127.0.0.1:{port}
milter_default_action = tempfail
milter_protocol = 6
"""
SECOND_PASS = """\
amavis unix - - n - 4 smtp
  -o smtp_data_done_timeout=1200 -o disable_dns_lookups=yes -o max_use=20
127.0.0.1:{back} inet n - n - - smtpd
  -o content_filter= -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_client_connection_count_limit=0
  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_address_mappings
"""
AMAVIS_CONF = r"""
use strict;
$ENV{PATH} = $path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/usr/bin:/bin';
$file = 'file'; $gzip = 'gzip'; $bzip2 = 'bzip2';
$max_servers = 4;
$daemon_user = 'amavis'; $daemon_group = 'amavis';
$MYHOME = '%(home)s'; $TEMPBASE = "$MYHOME/tmp"; $ENV{TMPDIR} = $TEMPBASE; $db_home = "$MYHOME/db";
$helpers_home = $MYHOME; $QUARANTINEDIR = undef;
$pid_file = "$MYHOME/amavisd.pid"; $lock_file = "$MYHOME/amavisd.lock";
$myhostname = 'gw.bench.example'; $mydomain = 'bench.example';
@local_domains_maps = (['.bench.example']); @mynetworks = qw(127.0.0.0/8);
$log_level = 0; $do_syslog = 0; $logfile = "$MYHOME/amavis.log"; $log_recip_templ = undef; $enable_db = 0;
$inet_socket_port = %(port)d; $inet_socket_bind = '127.0.0.1';
$forward_method = 'smtp:[127.0.0.1]:%(back)d'; $notify_method = $forward_method;
@bypass_spam_checks_maps = (1); $enable_dkim_verification = 0; $enable_dkim_signing = 0;
$final_virus_destiny = D_DISCARD; $final_banned_destiny = D_PASS; $final_bad_header_destiny = D_PASS;
$virus_admin = undef; $banned_filename_re = undef;
$MAXLEVELS = 14; $MAXFILES = 3000; $MAX_EXPANSION_QUOTA = 500*1024*1024;
@decoders = (['mail', \&do_mime_decode], ['gz', \&do_gunzip], ['zip', \&do_unzip]);
@av_scanners = (['ClamAV-clamd', \&ask_daemon, ["CONTSCAN {}\n", "%(clamd)s"],
  qr/\bOK$/m, qr/\bFOUND$/m, qr/^.*?: (?!Infected Archive)(.*) FOUND$/m ]);
@av_scanners_backup = ();
1;
"""
RSPAMD_OFF = [
    "rbl",
    "surbl",
    "dkim",
    "dkim_signing",
    "dmarc",
    "arc",
    "spf",
    "asn",
    "fuzzy_check",
    "greylist",
    "ratelimit",
    "replies",
    "mx_check",
    "neural",
    "reputation",
    "url_redirector",
    "history_redis",
    "bimi",
    "elastic",
    "clickhouse",
    "metric_exporter",
    "metadata_exporter",
    "p0f",
    "dcc",
    "spamtrap",
    "rspamd_update",
    "known_senders",
    "contextal",
    "gpt",
    "chartable",
    "regexp",
    "mime_types",
    "phishing",
    "hfilter",
    "emails",
    "forged_recipients",
    "maillist",
    "mid",
    "multimap",
    "once_received",
    "trie",
    "whitelist",
    "force_actions",
    "http_headers",
    "external_services",
    "aws_s3",
]


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")


class Filtered(Postfix, ABC):
    """Postfix, clamd, and a filter between them."""

    scans = True

    def __init__(self, work: Path, port: int, sink: int) -> None:
        super().__init__(work, port, sink)
        self._place = work / "filter"
        self._filter_port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        try:
            self._start_scanning()
            super().start()
        except BaseException:
            self.stop()
            raise

    def _start_scanning(self) -> None:
        place = self._place
        for name in ("db", "tmp"):
            (place / name).mkdir(parents=True, exist_ok=True)
            (place / name).chmod(0o777)
        (place / "db" / "bench.ndb").write_text(f"Bench.Eicar:0:*:{EICAR.hex()}\n")
        (place / "clamd.conf").write_text(CLAMD_CONF.format(work=place))
        self._run("clamd", ["clamd", "-c", str(place / "clamd.conf")])
        deadline = time.monotonic() + START_S
        while not (place / "clamd.sock").exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"clamd did not start: see {place / 'clamd.out'}")
            time.sleep(0.1)
        self._start_filter()
        _wait(self._filter_port)

    @abstractmethod
    def _start_filter(self) -> None:
        """What scans, listening at its port or about to."""

    def _run(self, name: str, command: list[str]) -> None:
        program = shutil.which(command[0], path="/usr/sbin:/usr/bin")
        if program is None:
            raise SystemExit(f"{command[0]} is not installed")
        with (self._place / f"{name}.out").open("ab") as out:
            self._processes.append(subprocess.Popen([program, *command[1:]], stdout=out, stderr=out))

    def stop(self) -> None:
        super().stop()
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(timeout=60)

    def pids(self) -> list[int]:
        found = super().pids()
        for process in self._processes:
            found += descendants(process.pid)
        return found


class PostfixRspamd(Filtered):
    """rspamd as a milter with nothing but its antivirus module."""

    def __init__(self, work: Path, port: int, sink: int) -> None:
        super().__init__(work, port, sink)
        self.name = "postfix-rspamd"
        self._extra = MILTER.format(port=self._filter_port)

    def _start_filter(self) -> None:
        place = self._place / "rspamd"
        local = place / "local" / "local.d"
        for folder in (place / "db", place / "run", place / "log", local):
            folder.mkdir(parents=True, exist_ok=True)
        bind = 'bind_socket = "127.0.0.1:{}";\n'
        upstream = 'upstream "local" { default = yes; self_scan = yes; }\n'
        proxy = bind.format(self._filter_port) + "milter = yes;\ncount = 2;\ntimeout = 120s;\n" + upstream
        (local / "worker-proxy.inc").write_text(proxy)
        (local / "worker-normal.inc").write_text("enabled = false;\n" + bind.format(free_port()))
        (local / "worker-controller.inc").write_text(bind.format(free_port()))
        dns = 'dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }\n'
        control = f'control_socket = "{place}/run/rspamd.sock mode=0600";\n'
        compiled = self._place.parent.parent / "rspamd-compiled"  # of all rounds: its expressions take a minute
        compiled.mkdir(exist_ok=True)
        shutil.chown(compiled, "_rspamd", "_rspamd")
        folders = f'tempdir = "{self._place}/tmp";\nhs_cache_dir = "{compiled}/";\n'
        (local / "options.inc").write_text(f'{dns}{control}{folders}filters = "";\n')
        (local / "logging.inc").write_text(f'type = "file"; filename = "{place}/log/rspamd.log"; level = "info";\n')
        (local / "actions.conf").write_text(
            "greylist = null; add_header = 100; rewrite_subject = null; reject = 1000;\n"
        )
        antivirus = f'type = "clamav"; symbol = "V"; servers = "{self._place}/clamd.sock"; action = "reject";'
        limits = "scan_mime_parts = true; max_size = 52428800; timeout = 60.0; no_cache = true;"
        (local / "antivirus.conf").write_text(f"clamav {{ {antivirus} {limits} }}\n")
        for module in RSPAMD_OFF:
            (local / f"{module}.conf").write_text("enabled = false;\n")
        subprocess.run(["chown", "-R", "_rspamd:_rspamd", place], check=True)
        places = {"DBDIR": "db", "RUNDIR": "run", "LOGDIR": "log", "LOCAL_CONFDIR": "local"}
        options = [f"--var={name}={place / folder}" for name, folder in places.items()]
        command = ["rspamd", "-f", "-c", "/etc/rspamd/rspamd.conf", "-u", "_rspamd", "-g", "_rspamd"]
        self._run("rspamd", command + options)


class PostfixAmavis(Filtered):
    """amavisd-new with four servers, without SpamAssassin: what passes comes back to a second port of Postfix."""

    discards = True

    def __init__(self, work: Path, port: int, sink: int) -> None:
        super().__init__(work, port, sink)
        self.name = "postfix-amavis"
        self._back = free_port()
        self._extra = f"content_filter = amavis:[127.0.0.1]:{self._filter_port}\n"
        self._services = SECOND_PASS.format(back=self._back)

    def _start_filter(self) -> None:
        place = self._place / "amavis"
        for name in ("tmp", "db"):
            (place / name).mkdir(parents=True, exist_ok=True)
        values = {"home": place, "port": self._filter_port, "back": self._back, "clamd": self._place / "clamd.sock"}
        config = self._place / "amavisd.conf"
        config.write_text(AMAVIS_CONF % values)
        subprocess.run(["chown", "-R", "amavis:amavis", place], check=True)
        place.chmod(0o755)
        (place / "tmp").chmod(0o755)
        self._run("amavis", ["amavisd", "-c", str(config), "foreground"])
