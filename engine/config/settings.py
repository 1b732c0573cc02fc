"""The whole of the settings."""

from engine.config.antivirus import Antivirus
from engine.config.base import Section
from engine.config.blocking import Authentication, Blocking
from engine.config.delivery import Delivery, Relay, Routing
from engine.config.diagnostics import Diagnostics
from engine.config.notices import Alerts, Notifications, Outbreak
from engine.config.quarantine import Quarantine
from engine.config.smtp import Dns, Logging, Processes, Smtp, Web
from engine.config.updates import Updates


class Settings(Section, frozen=True):
    smtp: Smtp = Smtp()
    web: Web = Web()
    dns: Dns = Dns()
    delivery: Delivery = Delivery()
    routing: Routing = Routing()
    relay: Relay = Relay()
    blocking: Blocking = Blocking()
    authentication: Authentication = Authentication()
    antivirus: Antivirus = Antivirus()
    updates: Updates = Updates()
    quarantine: Quarantine = Quarantine()
    notifications: Notifications = Notifications()
    outbreak: Outbreak = Outbreak()
    alerts: Alerts = Alerts()
    processes: Processes = Processes()
    logging: Logging = Logging()
    diagnostics: Diagnostics = Diagnostics()
