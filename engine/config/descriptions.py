"""What each setting is for, in words: forms, help, `mailward config explain` and docs/settings.md come from here.

Beside the Structs and not in them, so that these stay a page each: one line per field, by Struct and field. A field
that a Struct inherits is described where it is declared. A test fails when one lacks the other.
"""

from typing import Final

import msgspec


class Words(msgspec.Struct, frozen=True):
    """title: for a label; text: what it does, in which unit, when to change it; requirement: IDs, with commas."""

    title: str
    text: str
    requirement: str = ""


W = Words

SETTINGS: Final[dict[str, dict[str, Words]]] = {
    "Settings": {
        "smtp": W("SMTP options", "How mail comes in, and what Mailward calls itself.", "SMTP-01"),
        "web": W("Administrative interface", "Where the pages listen.", "HTTP-01"),
        "dns": W("Name servers", "Who is asked for everything that is looked up."),
        "delivery": W("Delivery", "How and for how long mail is handed over.", "DLV-01"),
        "routing": W("Routing", "Where mail goes, and which destinations are local.", "RTE-01"),
        "relay": W("Relay", "Who may send to other sites.", "RELAY-01"),
        "blocking": W("Blocking policy", "What mail may not be or carry, one table for each criterion.", "BLK-01"),
        "authentication": W("Sender authentication", "What SPF, DKIM, DMARC and ARC say about who sent a message."),
        "antivirus": W("Antivirus policy", "What happens to mail that is infected or cannot be examined.", "AV-01"),
        "quarantine": W("Quarantine", "Infected files that are put aside before mail is repaired or they are deleted.",
            "QRN-01"),
        "updates": W("Updates of the definitions", "Where new definitions come from, and when they are looked for.",
            "DEF-01"),
        "notifications": W("Notifications", "Who is told about mail that policy acted on, and how.", "NTF-00"),
        "outbreak": W("Outbreak alert", "A message to its own recipients when many infections come at once.", "OUT-01"),
        "alerts": W("Alerts", "Which events of the system administrators are told of by mail.", "ALR-01"),
        "processes": W("Processes", "How many processes work, and as whom."),
        "logging": W("Logging", "The journal of events.", "LOG-01"),
        "diagnostics": W("Diagnostics", "What is kept for technicians. Change it only when support asks for it.",
            "DIAG-01"),
    },
    "Quarantine": {
        "what": W("Files to put aside", "nothing; unrepaired: infected files that repair cannot clean, where viruses "
            "are set to be repaired; all: every infected file. The original is kept.", "QRN-01, QRN-02"),
        "max_mb": W("Size", "Megabytes of the local quarantine. When it is full the files in it stay, and no new ones "
            "are put aside until there is room; mail goes on.", "QRN-05"),
        "days": W("Keep for", "Days until a file is deleted from the local quarantine, also one that the central "
            "server did not get.", "QRN-05"),
        "server": W("Central server", "Name or address of the central quarantine server that gets the files; empty "
            "keeps them here. While it is down they pile up here, which may slow the gateway down.", "QRN-04, QRN-05"),
        "port": W("Port", "Port of the central quarantine server.", "QRN-04"),
        "enrollment": W("Enrollment file", "What “mailward quarantine enroll” wrote on the central server for this "
            "gateway: key and certificates, below the root directory.", "QRN-04"),
    },
    "Listener": {
        "host": W("Address", "Address to listen on; 0.0.0.0 takes every IPv4 address of the machine, :: all of them."),
        "port": W("Port", "TCP port to listen on.", "SMTP-03"),
    },
    "MailListener": {
        "accept": W("Accept mail", "When a client is told that its message was taken. queue: as soon as it is safe on "
            "disk; what turns out unwanted later is dropped or returned. scan: when it was examined, so that infected "
            "and blocked mail is refused with 550. deliver: when the next hop has it, so that its refusal, too, "
            "reaches the sender.", "SMTP-01"),
    },
    "BeforeQueue": {
        "wait_s": W("Longest wait", "Seconds that a client waits for the examination and delivery of its message. "
            "After that the message is put on disk and accepted, and goes on as in mode queue. Clients give up after "
            "600."),
        "waiting": W("Clients that may wait", "Messages of one relay process whose clients may wait. More are "
            "accepted as in mode queue. Each holds one of the incoming connections."),
        "infected": W("Infected mail", "refuse: the whole message, with 550. treat: it is cleaned and accepted, as "
            "the settings of the virus scan say.", "AV-04"),
    },
    "FurtherListener": {
        "mode": W("Mode", "mx: mail servers, as on the first listener. submission: people who log on by SMTP AUTH, and "
            "may then send everywhere.", "RELAY-14"),
        "tls": W("TLS", "starttls: clients may ask for encryption. implicit: everything is encrypted from the start, "
            "as on port 465."),
    },
    "Smtp": {
        "listen": W("Listen on", "Where mail comes in; other mail servers expect port 25.", "SMTP-01"),
        "listeners": W("Further listeners", "Other addresses and ports where mail comes in, such as 587 and 465 for "
            "the programs of people.", "SMTP-01, RELAY-14"),
        "submitters": W("Submitters", "File with the names and hashed passwords of who may hand in mail at a "
            "submission listener, below the root directory; `mailward submitter` writes it. Wrong passwords make their "
            "client wait, longer with each.", "RELAY-14"),
        "hostname": W("Host name", "Name in greetings and Received fields; empty takes the name of the machine."),
        "max_incoming": W("Incoming connections", "SMTP connections that are served at the same time; raise it when "
            "clients have to wait though the machine is idle.", "SMTP-06"),
        "max_outgoing": W("Outgoing connections", "SMTP connections to next hops at the same time.", "SMTP-05"),
        "max_queued": W("Waiting connections", "Connections beyond the limit that wait for a place; 0 refuses them at "
            "once. Further ones get 421, and their mail comes later: raise it where so many hosts come at once.",
            "SMTP-07"),
        "max_messages_per_connection": W("Messages per connection", "Messages that one connection may bring before the "
            "client has to open another, which gives others a turn. 0: any number.", "SMTP-17"),
        "max_recipients": W("Recipients", "Recipients that one message may have.", "SMTP-18"),
        "max_hops": W("Hops", "Received fields that one message may have; more mean that it goes round and round.",
            "SMTP-18"),
        "command_timeout_s": W("Time for a command", "Seconds that a client may be silent between commands; RFC 5321 "
            "asks for 300."),
        "data_timeout_s": W("Time for data", "Seconds that a client may be silent within a message; RFC 5321 asks for "
            "180."),
        "max_per_client": W("Connections of one client", "SMTP connections that one IPv4 address, or one /64 of IPv6, "
            "may have at a time; 0 for no limit. Addresses in relay.hosts are free.", "SMTP-06"),
        "rate_per_client_per_minute": W("Connections in a minute", "SMTP connections that one client may begin in a "
            "minute, counted as for the connections of one client; 0 for no limit.", "SMTP-06"),
        "greet_delay_ms": W("Wait before the greeting", "Milliseconds until a client is greeted; one that talks before "
            "that, as programs for spam do, is refused. 0 greets at once, relay.hosts always are.", "SMTP-14"),
        "error_delay_s": W("Wait after an error", "Seconds until the next command is read after one that "
            "broke the protocol or was refused; 0 for none.", "SMTP-14"),
        "proxies": W("Proxies", "Addresses and networks of proxies, such as haproxy, that say with the PROXY protocol "
            "(version 1 or 2) who their client is. They have to say it on every connection, and nobody else can."),
        "xclient": W("Hosts with XCLIENT", "Addresses and networks of mail servers and filters that may say with "
            "XCLIENT (as in Postfix and nginx) which client they speak for."),
        "before_queue": W("Clients that wait", "At listeners that accept mail when it was examined or delivered."),
        "from_name": W("Name of the sender", "Name that mail of Mailward's own comes from.", "SMTP-09"),
        "from_address": W("Address of the sender", "Address that mail of Mailward's own comes from; empty is "
            "mailward-noreply@ and the host name.", "SMTP-09"),
    },
    "Web": {
        "http": W("Unencrypted pages", "Where browsers are sent on to the encrypted pages.", "HTTP-02, HTTP-03"),
        "https": W("Pages", "Where the pages listen; name 127.0.0.1 to keep them on this machine.", "HTTP-04"),
        "timeout_minutes": W("Log off after", "Minutes without a request after which an administrator is logged off.",
            "ACC-06"),
        "names": W("Further names", "Host names, besides that of the machine, by which browsers reach the pages."),
        "acme": W("Certificates by ACME", "An authority that issues and renews the certificate by itself.", "CERT-05"),
        "oidc": W("Sign-on", "Logging on at an identity provider by OpenID Connect, besides accounts with passwords.",
            "ACC-11"),
        "metrics_clients": W("Monitoring hosts", "Addresses and networks that may read the figures at /metrics without "
            "a token, such as that of your Prometheus.", "STAT-30"),
    },
    "Acme": {
        "enabled": W("Use ACME", "Let the authority issue the certificate of pages and STARTTLS, and renew it when a "
            "third of its life is left. It checks each name at http://NAME/ on port 80: forward that port of the "
            "firewall to the port of the unencrypted pages.", "CERT-05"),
        "directory": W("Directory", "URL of the authority's ACME directory.", "CERT-05"),
        "email": W("Address", "Mail address that the authority writes to about the account; may be empty.", "CERT-05"),
        "names": W("Names", "Host names that the certificate is for, the first as its common name; empty takes the "
            "names that the gateway is known by.", "CERT-05"),
        "terms_agreed": W("Terms of service", "You have read the authority's terms and agree to them; without that it "
            "issues nothing.", "CERT-05"),
        "authorities": W("Who vouches for it", "PEM file of the authority behind the directory's own certificate; "
            "empty takes those that the machine trusts. Needed for an ACME server of your own.", "CERT-05"),
    },
    "Oidc": {
        "enabled": W("Sign-on at a provider", "Offer a button for it on the logon page. Register there, as the address "
            "to come back to, https://NAME:PORT/logon/sign-on/back for each name of these pages.", "ACC-11"),
        "issuer": W("Issuer", "URL of the provider, exactly as it calls itself; its discovery document lies below it.",
            "ACC-11"),
        "client_id": W("Client", "What the provider calls Mailward.", "ACC-11"),
        "client_secret_file": W("Secret", "File with the secret of this client, readable by the service alone; "
            "empty for a public client.", "ACC-11"),
        "label": W("Button", "What the button says behind Sign on with; empty takes the host of the issuer.",
            "ACC-11"),
        "scopes": W("Scopes", "What is asked for besides openid, so that the ID token has the claims below.", "ACC-11"),
        "user_claim": W("Claim with the name", "Claim of the ID token that becomes the user name here.", "ACC-11"),
        "role_claim": W("Claim with the roles", "Claim of the ID token that tells who may enter; realm_access.roles "
            "is the claim roles inside realm_access.", "ACC-11"),
        "administrators": W("Administrators", "Values of that claim that make somebody an administrator.", "ACC-11"),
        "report_only": W("Report-only administrators", "Values of that claim that let somebody run reports, and "
            "nothing else.", "ACC-02, ACC-11"),
        "authorities": W("Who vouches for it", "PEM file of the authority behind the provider's certificate; empty "
            "takes those that the machine trusts.", "ACC-11"),
    },
    "Dns": {
        "servers": W("Name servers", "Addresses, or address#port, asked for everything that is looked up; empty takes "
            "those of the machine. Name your own resolver if block lists refuse public ones."),
        "validating": W("Validating name servers", "Addresses of name servers that check DNSSEC and that nobody can "
            "get in between to: what they say is proven is believed, which DANE needs. One on this machine "
            "(127.0.0.1) is believed without being named here.", "DLV-06"),
    },
    "Delivery": {
        "pause": W("Pause delivery", "Accepted mail waits until this is cleared.", "DLV-01"),
        "reject_incoming": W("Reject incoming mail", "Every message is refused for now; its sender's server tries "
            "again.", "DLV-02"),
        "days": W("Days to retry", "Days after which mail that cannot be delivered is returned.", "DLV-04"),
        "delay_warning_hours": W("Warn of delay after", "Hours after which the sender of mail that still waits is "
            "told, once, if they asked for it.", "DLV-05"),
        "warn_of_delay": W("Warn every sender", "Tell of the delay also those who did not ask for it.", "DLV-05"),
        "retry_first_s": W("First retry", "Seconds until a failed delivery is tried again; it doubles each time.",
            "PROC-06"),
        "retry_last_s": W("Longest retry", "Seconds between retries at most.", "PROC-06"),
        "connect_timeout_s": W("Time to connect", "Seconds that a next hop has to take a connection."),
        "reply_timeout_s": W("Time to reply", "Seconds that a next hop has to answer a command."),
        "cached_connections": W("Kept connections", "Connections that are kept open for each next hop and relay."),
        "cache_idle_s": W("Keep for", "Seconds that an unused connection to a next hop is kept."),
        "tls": W("Encryption", "none: never; opportunistic: as the domain of the recipient publishes (DANE, MTA-STS), "
            "else where the next hop offers it and it works, without a look at the certificate; required: mail waits "
            "rather than go in the clear; verified: and waits unless the certificate is for the host's name.",
            "DLV-06"),
        "tls_authorities": W("Authorities of next hops", "PEM file of those who vouch for certificates of next hops; "
            "empty takes those that the machine trusts.", "DLV-06"),
        "dane": W("DANE", "Keep to what domains publish by TLSA records: mail for them waits rather than go to a host "
            "that shows another certificate. Needs a name server that checks DNSSEC (dns.validating).", "DLV-06"),
        "mta_sts": W("MTA-STS", "Keep to the policies that domains publish by HTTPS: mail for them waits rather than "
            "go to another host, or to one without a good certificate.", "DLV-06"),
        "policy_exempt": W("Domains without DANE and MTA-STS", "Domains whose mail goes as if they published nothing, "
            "for as long as what they publish is wrong.", "DLV-06"),
        "public_authorities": W("Authorities of the Internet", "PEM file of those who vouch for hosts that an MTA-STS "
            "policy or the sender (REQUIRETLS) wants verified, and for the servers with such policies; empty takes "
            "those that the machine trusts.", "DLV-06"),
        "connections": W("Connections to one next hop", "At most so many at the same time, of all relays together, "
            "each of which takes its part and at least one; 0: no limit but that of all.", "SMTP-05"),
        "messages_per_minute": W("Messages to one next hop", "At most so many a minute; what is more waits its turn. "
            "0: no limit."),
        "greylist_retry_s": W("Retry after greylisting", "Seconds until mail that a host refuses for now for the first "
            "time (450 or 451) is tried again; most that do so take it then. Later retries follow the times above.",
            "PROC-06"),
        "tell_doubtful_senders": W("Return mail to doubtful senders", "Off: who is known not to have sent a message "
            "(SPF or DMARC fail; or it is infected or from a block list, and neither says that the sender is real) is "
            "not told that it failed; the event notice-suppressed says so. On: everybody is told, also those whose "
            "address was stolen.", "PROC-09"),
    },
    "Route": {
        "name": W("Mail for", "Domain, host or address whose mail this entry is for, and which it makes local; * "
            "stands for any characters, *.example.com for all subdomains.", "RTE-03, RTE-08"),
        "host": W("Goes to", "Host, host:port or several with commas; empty delivers where MX of the name points. "
            "lmtp:host:port and lmtp:unix:/path hand over by LMTP, smtps:host by SMTP with TLS from the start.",
            "RTE-04, RTE-05"),
        "port": W("Port", "Port of hosts that name none themselves.", "RTE-09"),
        "mx": W("By MX of the host", "Look the host up as a mail domain instead of as a host.", "RTE-05"),
        "tls": W("Encryption", "As delivery.tls, for this route alone; default takes what is set there.", "DLV-06"),
        "connections": W("Connections", "As delivery.connections, for this route alone; 0 takes what is set there.",
            "SMTP-05"),
        "messages_per_minute": W("Messages a minute", "As delivery.messages_per_minute, for this route alone; 0 takes "
            "what is set there."),
    },
    "Routing": {
        "default_host": W("Default route", "Host for all mail whose destination is not listed; empty delivers it by "
            "MX.", "RTE-01"),
        "default_port": W("Port of the default route", "Port of hosts that name none themselves.", "RTE-01, RTE-09"),
        "default_tls": W("Encryption of the default route", "As delivery.tls, for this route alone; default takes what "
            "is set there.", "DLV-06"),
        "local": W("Local routing", "Destinations that are local, each with its way.", "RTE-03"),
    },
    "Grant": {
        "network": W("Network", "The client's address, network or confirmed name, written as in relay.hosts.",
            "RELAY-01, RELAY-09"),
        "tls_name": W("TLS name", "DNS name that the client's verified certificate must have.", "RELAY-01"),
        "sender_domains": W("Sender domains", "@example.com or .example.com: where the reverse-path must be from; "
            "empty allows every one.", "RELAY-01"),
        "header": W("Header field", "Name of a field that the message must have exactly once, such as that with the "
            "tenant of a cloud sender.", "RELAY-01"),
        "value": W("Value of the field", "What that field must say, exactly.", "RELAY-01"),
    },
    "Relay": {
        "allow_all": W("Allow all", "Everybody may send to everybody: an open relay, which block lists find within "
            "hours.", "RELAY-02"),
        "hosts": W("Listed hosts", "Hosts that may send to other sites: names, *.domain, addresses, 192.0.2.* or "
            "networks. Your own mail servers belong here.", "RELAY-03, RELAY-09"),
        "grants": W("Grants", "Further permissions that ask for more than an address, for example of cloud senders.",
            "RELAY-01"),
        "authorities": W("Authorities of certificates", "PEM file of those who vouch for the certificates of grants; "
            "empty: those that the machine trusts.", "RELAY-01"),
    },
    "Forward": {
        "to": W("Forward to", "The one address that gets the message in place of its recipients.", "PROC-18, BLK-04"),
        "subject": W("Subject", "Subject of the message that carries it.", "PROC-18, BLK-04"),
    },
    "Blocking": {
        "size": W("Message size", "Refuse large messages.", "SIZE-01"),
        "subject": W("Subject lines", "Find messages by their subject.", "SUBJ-01"),
        "files": W("File names", "Delete attachments by their names.", "FILE-01"),
        "containers": W("Container limits", "Bound what archives and nested messages may unfold to.", "CONT-01"),
        "encrypted": W("Encrypted containers", "What happens to attachments that cannot be looked into.", "ENC-01"),
        "senders": W("Senders", "Find messages by who they come from.", "SNDR-01"),
        "block_lists": W("DNS block lists", "Ask lists in DNS about the connecting host.", "DNSBL-01"),
        "white_list": W("White list", "Domains whose mail is not asked about in block lists.", "WL-01"),
        "characters": W("Characters in addresses", "Refuse addresses that have certain characters.", "CHAR-01"),
        "dmarc": W("DMARC", "What happens to mail that its alleged domain disowns."),
    },
    "Size": {
        "enabled": W("Refuse large messages", "Refuse messages above the size below while they are sent.", "SIZE-01"),
        "max_mb": W("Largest message", "Megabytes (1048576 octets) of the message as it is sent; encoding makes files "
            "a third larger.", "SIZE-02"),
    },
    "SubjectLines": {
        "enabled": W("Find subjects", "Look for the listed subjects.", "SUBJ-01"),
        "lines": W("Subjects", "One subject an entry, without regard to case; * stands for any text, ? for one "
            "character. Without them the whole subject must be equal.", "SUBJ-02"),
        "action": W("Action", "What happens to a message with such a subject.", "SUBJ-03"),
        "forward": W("Forward", "Where it goes with action forward.", "SUBJ-03"),
    },
    "FileNames": {
        "enabled": W("Delete listed files", "Delete attachments with listed names and deliver the rest.", "FILE-01"),
        "names": W("File names", "name.ext, *.ext or name.*, without regard to case; ? stands for one character.",
            "FILE-01, FILE-02, FILE-03"),
        "modern": W("Modern risky types too", "Also delete what the second list names: disk images, scripts and such.",
            "FILE-08"),
        "modern_names": W("Modern risky types", "A second list of file names, used if that is wanted.", "FILE-08"),
        "in_containers": W("Inside containers too", "Look at the names of files in archives as well.", "FILE-07"),
        "disguised": W("Disguised programs", "Also delete programs, scripts and shortcuts whose name claims that they "
            "are something harmless.", "FILE-06"),
        "add_text": W("Put a text in its place", "Recipients find a text where a deleted file was.", "FILE-04"),
        "text": W("Text", "What stands in the place of a deleted file; {$FILE} is its name.", "FILE-04, META-06"),
    },
    "ContainerLimits": {
        "depth": W("Depth", "Levels of archives, encodings and messages in each other.", "CONT-03"),
        "depth_on": W("Limit the depth", "Whether more levels are a violation.", "CONT-02, CONT-03"),
        "file_mb": W("Largest file", "Megabytes of one file when it is unpacked.", "CONT-04"),
        "file_on": W("Limit one file", "Whether a larger file is a violation.", "CONT-02, CONT-04"),
        "total_mb": W("All files together", "Megabytes of everything in one message when it is unpacked.", "CONT-05"),
        "total_on": W("Limit all files", "Whether more is a violation.", "CONT-02, CONT-05"),
        "files": W("Number of files", "Files in the containers of one message.", "CONT-06"),
        "files_on": W("Limit the number", "Whether more files are a violation.", "CONT-02, CONT-06"),
        "time_s": W("Time", "Seconds to take one message apart.", "CONT-07"),
        "time_on": W("Limit the time", "Whether taking longer is a violation.", "CONT-02, CONT-07"),
        "ratio": W("Compression", "Octets that may come out for one octet that goes in, of one file.", "CONT-11"),
        "ratio_on": W("Limit compression", "Whether a file that is compressed more is a violation.", "CONT-11"),
        "action": W("Action", "What happens to a message that exceeds a limit.", "CONT-08"),
        "forward": W("Forward", "Where it goes with action forward.", "CONT-08"),
    },
    "Encrypted": {
        "enabled": W("Find encrypted containers", "Look for archives, documents and PDFs that ask for a password.",
            "ENC-01, ENC-07"),
        "action": W("Action", "What happens to the container or its message.", "ENC-02"),
        "forward": W("Forward", "Where it goes with action forward.", "ENC-02"),
        "end_to_end": W("End-to-end encryption too", "Treat mail encrypted with S/MIME or OpenPGP in the same way.",
            "ENC-06"),
        "add_text": W("Put a text in its place", "Recipients find a text where a deleted container was.", "ENC-03"),
        "text": W("Text", "What stands in the place of a deleted container; {$FILE} is its name.", "ENC-03, META-06"),
    },
    "Senders": {
        "enabled": W("Find senders", "Look for the listed addresses in the envelope and in the From field.",
            "SNDR-01, SNDR-02"),
        "addresses": W("Senders", "user@example.com for one address, @example.com for those of a domain, .example.com "
            "for those of its subdomains.", "SNDR-03, SNDR-04"),
        "action": W("Action", "What happens to a message from such a sender.", "SNDR-05"),
        "forward": W("Forward", "Where it goes with action forward.", "SNDR-05"),
    },
    "BlockList": {
        "domain": W("Domain", "Domain of the list, as its operator documents it.", "DNSBL-01"),
        "enabled": W("Ask this list", "A list that is not enabled is never asked.", "DNSBL-02"),
        "codes_on": W("Only some answers", "Count only the listed return codes; else every answer counts.", "DNSBL-04"),
        "codes": W("Return codes", "Answers that count, such as 127.0.0.2.", "DNSBL-04"),
        "weight": W("Weight", "What a listing here adds to the score."),
    },
    "BlockLists": {
        "lists": W("Lists", "The block lists, each with its domain.", "DNSBL-01"),
        "action": W("Action", "What happens to mail of a listed host; reject refuses it while it is sent.",
            "DNSBL-06"),
        "forward": W("Forward", "Where it goes with action forward.", "DNSBL-06"),
        "timeout_s": W("Time for an answer", "Seconds after which a list that is silent counts as not listing.",
            "DNSBL-09"),
        "score": W("Score", "What the weights of the lists that name a host must reach; with 1 any list suffices."),
    },
    "WhiteList": {
        "enabled": W("Use the white list", "Do not ask block lists about mail from listed domains.", "WL-01"),
        "domains": W("Domains", "@example.com for a domain, .example.com for its subdomains; compared with the "
            "envelope.", "WL-02, WL-03"),
        "confirmed": W("Only confirmed senders", "A domain counts only if SPF or DKIM confirms it, since envelopes are "
            "forged easily; asks for sender authentication.", "WL-05"),
    },
    "Characters": {
        "enabled": W("Refuse characters", "Refuse addresses that have one of the characters.", "CHAR-01"),
        "characters": W("Characters", "The characters one after the other, without blanks or commas.", "CHAR-02"),
    },
    "Dmarc": {
        "enabled": W("Follow DMARC", "Act on mail that fails DMARC, which DNS is asked about for each message."),
        "reject": W("Policy reject", "What happens to mail whose domain asks to reject it."),
        "quarantine": W("Policy quarantine", "What happens to mail whose domain asks to set it apart."),
        "corroborated": W("Reject only with a second reason", "Follow reject only if something else speaks against "
            "the message, such as SPF or a block list: mailing lists and forwarders break what is genuine."),
        "forward": W("Forward", "Where it goes with action forward."),
    },
    "Authentication": {
        "enabled": W("Check senders", "Ask DNS for SPF, DKIM and DMARC of each message."),
        "add_results": W("Add results", "Put an Authentication-Results field before each message and remove forged "
            "ones."),
        "authserv_id": W("Name in results", "Name that the results are given under; empty is smtp.hostname."),
        "trusted_sealers": W("Trusted sealers", "Domains of forwarders and lists whose ARC seal is believed."),
        "timeout_s": W("Time for DNS", "Seconds for all questions about one message."),
    },
    "Antivirus": {
        "enabled": W("Scan for viruses", "Examine every message; without it nothing infected is found.", "AV-01"),
        "detected": W("When infected", "Repair tries to clean the file, delete removes it, log delivers it.", "AV-04"),
        "unrepairable": W("When repair fails", "Delete removes the file, log delivers it.", "AV-05"),
        "left_over": W("When it stays", "What happens to a message that still has something infected in it.", "AV-06"),
        "add_text": W("Put a text in its place", "Recipients find a text where a deleted file was.", "AV-07"),
        "text": W("Text", "What stands in the place of a deleted file; {$FILE} is its name, {$VIRUSINFO} what was in "
            "it.", "AV-07, META-06"),
        "unscanned": W("When it cannot be examined", "What happens to mail that cannot be wholly examined, for example "
            "because it is damaged.", "SCAN-07"),
        "files": W("Files to scan", "Scan all files, only those with an extension of the first list (listed), or all "
            "but those with an extension of the second one (others). Other rules look at all files in any case.",
            "SCAN-01, SCAN-02, SCAN-03, SCAN-06"),
        "include": W("Scan only these", "Extensions such as .exe, for listed. A container whose extension is missing "
            "here is not scanned, and nothing in it.", "SCAN-02, SCAN-04, SCAN-05"),
        "exclude": W("Scan all but these", "Extensions such as .jpg, for others. Nothing in a container of such a name "
            "is scanned.", "SCAN-03, SCAN-05"),
        "heuristics": W("Unknown viruses", "How readily files are taken for malware that no signature knows, by how "
            "they are made. Low finds only what is plain, high also what is merely unusual, and slows scanning down. A "
            "find is treated like a virus and named Heuristic.", "AV-03"),
        "heuristics_exempt": W("Exempt from it", "After false alarms: names such as Heuristic.PackedProgram, or "
            "SHA-256 digests of single files.", "AV-03"),
        "try_passwords": W("Try passwords", "Archives, PDF and Office documents that need a password are opened with "
            "one that stands in the text, subject or file names of the same message, or in the list below, and what is "
            "inside is scanned. They still count as encrypted for your rules. Such a message is read twice, and takes "
            "up to 15 seconds more; what no password opens stays encrypted.", "ENC-01"),
        "usual_passwords": W("Passwords that many use", "Tried besides those that a message says, the likeliest first. "
            "At most 50 are tried at one file.", "ENC-01"),
        "definitions": W("Definitions", "File with the compiled definitions, from the installation's directory on."),
    },
    "Updates": {
        "enabled": W("By schedule", "Look for new definitions at the times below. “Update now” works in any case.",
            "DEF-02, DEF-17"),
        "days": W("Days", "On which days of the week they are looked for.", "DEF-03, DEF-06"),
        "first": W("First time", "When the first attempt of a day is made, as the server's clock shows it: HH:MM. The "
            "last one is made before midnight.", "DEF-04, DEF-05, DEF-06"),
        "frequency": W("How often", "Between attempts of one day. Definitions are small to ask for: every hour costs "
            "the sources next to nothing.", "DEF-04, DEF-05"),
        "sources": W("Sources", "Addresses of update servers, in the order in which they are tried: https://, http://, "
            "ftp://, or file:/// for a directory. With clamav+ before it, such as clamav+https://database.example.com, "
            "ClamAV's databases are taken from there, and compiled here.", "DEF-01, DEF-09"),
        "canary_minutes": W("Try on live mail for", "So long one more scanner with low priority examines copies of "
            "messages with the new definitions before they come into force; what they do otherwise is compared. 0 puts "
            "them in force at once.", "DEF-16"),
        "oldest_days": W("Alarm at an age of", "Definitions that are older than this are an alarm. 0 is never.",
            "DEF-13"),
        "digest_days": W("Look back", "When new definitions name more files by their SHA-256, attachments that were "
            "delivered in the last days are looked up, and who got one is told. It costs the scanners about 1 ms for "
            "each megabyte of attachments, and some 80 octets of journal for each. 0 is off."),
    },
    "Days": {
        "monday": W("Monday", "Whether attempts are made on Mondays.", "DEF-03"),
        "tuesday": W("Tuesday", "Whether attempts are made on Tuesdays.", "DEF-03"),
        "wednesday": W("Wednesday", "Whether attempts are made on Wednesdays.", "DEF-03"),
        "thursday": W("Thursday", "Whether attempts are made on Thursdays.", "DEF-03"),
        "friday": W("Friday", "Whether attempts are made on Fridays.", "DEF-03"),
        "saturday": W("Saturday", "Whether attempts are made on Saturdays.", "DEF-03"),
        "sunday": W("Sunday", "Whether attempts are made on Sundays.", "DEF-03"),
    },
    "Notice": {
        "enabled": W("Send it", "Whether this notification is sent.", "NTF-00"),
        "subject": W("Subject", "Subject of the notification.", "NTF-00"),
        "text": W("Text", "Text of the notification; metatags such as {$MSGINFO} stand for what happened.",
            "NTF-00, NTF-16"),
    },
    "VirusNotices": {
        "sender": W("To the sender", "Tell the sender that a virus was found.", "NTF-01"),
        "administrator": W("To administrators", "Tell administrators that a virus was found.", "NTF-06"),
    },
    "ContentNotices": {
        "sender": W("To the sender", "Tell the sender that a subject or file name is not allowed.", "NTF-02"),
        "administrator": W("To administrators", "Tell administrators of a subject or file name that is not allowed.",
            "NTF-08"),
    },
    "ContainerNotices": {
        "sender": W("To the sender", "Tell the sender that an attachment is too large.", "NTF-03"),
        "administrator": W("To administrators", "Tell administrators that a container exceeded a limit.", "NTF-09"),
    },
    "EncryptedNotices": {
        "sender": W("To the sender", "Tell the sender that an attachment is encrypted.", "NTF-04"),
        "administrator": W("To administrators", "Tell administrators of an encrypted container.", "NTF-10"),
    },
    "SpamNotices": {
        "sender": W("To the sender", "Tell the sender that mail from there is not allowed.", "NTF-05"),
        "administrator": W("To administrators", "Tell administrators of a listed sender or host.", "NTF-11"),
    },
    "Notifications": {
        "administrators": W("Administrators", "Addresses that get administrator notifications and alerts.",
            "NTF-13, ACC-07"),
        "virus": W("Virus found", "Notifications about infected mail.", "NTF-01, NTF-06"),
        "content": W("Content violation", "Notifications about subjects and file names.", "NTF-02, NTF-08"),
        "container": W("Container limit", "Notifications about containers that exceed a limit.", "NTF-03, NTF-09"),
        "encrypted": W("Encrypted container", "Notifications about encrypted containers.", "NTF-04, NTF-10"),
        "spam": W("Spam", "Notifications about listed senders and hosts.", "NTF-05, NTF-11"),
    },
    "Outbreak": {
        "enabled": W("Send the alert", "Send a message when many infected messages come at once.", "OUT-01"),
        "messages": W("Infected messages", "How many infected messages are an outbreak.", "OUT-01"),
        "minutes": W("Within", "Minutes within which they must come; also the least time between two alerts.",
            "OUT-01, OUT-04"),
        "recipients": W("Recipients", "Addresses that get the alert; the administrators do not by themselves.",
            "OUT-02"),
        "subject": W("Subject", "Subject of the alert.", "OUT-03, NTF-07"),
        "text": W("Text", "Text of the alert.", "OUT-03, NTF-07"),
        "pause": W("Pause delivery", "Also pause delivery when the alert is sent, until a person goes on.", "OUT-05"),
    },
    "Alerts": {
        "start": W("Start", "The service started.", "ALR-01"),
        "start_after_crash": W("Start after a crash", "The service started without a clean stop before.", "ALR-02"),
        "stop": W("Stop", "The service stopped.", "ALR-03"),
        "low_disk": W("Low disk space", "A directory has little free space.", "ALR-04"),
        "low_memory": W("Low memory", "The machine has little free memory.", "ALR-05"),
        "definitions_updated": W("Definitions updated", "New definitions came into use.", "ALR-06, DEF-11"),
        "definitions_old": W("Definitions too old", "The definitions in force are older than updates.oldest_days."),
        "found_later": W("Found after delivery", "New definitions name a file that was delivered in the last days."),
        "configuration_changed": W("Configuration changed", "Settings were changed.", "ALR-07"),
        "suspect_message": W("Suspect message", "A message was put into the hold queue.", "ALR-08, PROC-13"),
        "scan_error": W("Scan error", "A message could not be examined because of an error.", "ALR-09"),
        "file_access": W("File access", "A file that is needed cannot be read or written.", "ALR-10"),
        "smtp_violation": W("SMTP violation", "A client broke the SMTP protocol.", "ALR-11"),
        "http_violation": W("HTTP violation", "A browser or program sent the pages something broken.", "ALR-12"),
        "failed_logons": W("Failed logons", "Logons to the pages failed repeatedly.", "ALR-13"),
        "connection_failure": W("Connection failure", "A next hop cannot be reached.", "ALR-14"),
        "unauthorized": W("Unauthorized access", "Somebody asked for what his account may not do.", "ALR-15"),
        "certificate": W("Certificate", "Tell when the TLS certificate is about to expire, or could not be renewed.",
            "CERT-08"),
        "quarantine": W("Quarantine", "The local quarantine is 80 % full, a file could not be put aside, or the "
            "central server takes none.", "QRN-05"),
        "block_list": W("Block list unusable", "A DNS block list answers errors; mail goes on without it.", "DNSBL-09"),
    },
    "Processes": {
        "relays": W("Relays", "Processes that take and hand over mail; 0 is one per core.", "PROC-04"),
        "scanners_per_relay": W("Scanners", "Processes of each relay that examine mail, each with memory of its own.",
            "PROC-04"),
        "user": W("User", "Account to become when started as root, after the ports are bound."),
    },
    "Logging": {
        "enabled": W("Keep a journal", "Write events to files.", "LOG-01"),
        "keep_weeks": W("Keep for", "Weeks after which journal files are deleted; 0 keeps them.", "LOG-02"),
        "virus_page": W("Page about a virus", "Address that names of viruses in reports lead to, with {name} where the "
            "name belongs; it learns nothing else. Empty: a page of our own.", "RPT-09"),
    },
    "ConversationLog": {
        "level": W("Level", "Which SMTP conversations are written to a file each: none, those with an error, or all.",
            "DIAG-03, DIAG-04"),
        "errors": W("Errors", "Which errors keep a log with level on-error: of the network (communication), of order "
            "and syntax of commands (protocol), refusals for reasons of a server's own, such as the size (local), "
            "requests that are not served, such as TURN (unsupported), or all of these.",
            "DIAG-05, DIAG-06, DIAG-07, DIAG-08, DIAG-13"),
        "data": W("Content of messages", "Leave it out (ignore), give the number of lines and octets (summarize), or "
            "show all of it (echo): then the files hold the mail of your users.", "DIAG-09, DIAG-11"),
    },
    "Diagnostics": {
        "save_queue_files": W("Save queue files", "Which messages are copied for technicians as they were received: "
            "none, those whose examination crashed, those that could not be examined too, or all. Copies hold the mail "
            "of your users.", "DIAG-01"),
        "max_mb": W("Size of all files", "Megabytes that logs and copies may take together; the oldest ones make room.",
            "DIAG-02, DIR-05"),
        "keep_days": W("Keep for", "Days after which logs and copies are deleted.", "DIAG-02"),
        "inbound": W("Inbound conversations", "Logs of clients that bring mail, one for each connection.",
            "DIAG-03, DIAG-10"),
        "outbound": W("Outbound conversations", "Logs of next hops that get mail, one for each attempt to deliver.",
            "DIAG-03, DIAG-10"),
    },
}  # fmt: skip
