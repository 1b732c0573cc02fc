"""A form as a browser without scripts would send it: its fields with their values, and buttons to press."""

from html.parser import HTMLParser

from tests.control.harness import Browser, Reply


class Form:
    """The first form of a page whose action is the one that is asked for. fields: name to value, in their order."""

    def __init__(self, html: str, action: str) -> None:
        parser = _Parser(action)
        parser.feed(html)
        assert parser.found, f"there is a form to {action}"
        self.action = action
        self.fields = parser.fields
        self.buttons = parser.buttons

    @classmethod
    def of(cls, browser: Browser, path: str, action: str = "") -> "Form":
        reply = browser.get(path)
        assert reply.status == 200, (path, reply.status)
        return cls(reply.text, action or path)

    def press(self, browser: Browser, button: tuple[str, str] = ("do", "preview")) -> Reply:
        assert button in self.buttons, (button, self.buttons)
        return browser.request("POST", self.action, self.fields | dict([button]))


class _Parser(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action
        self._inside = False
        self._area = ""
        self._select = ""
        self.found = False
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name, value = values.get("name", ""), values.get("value", "")
        if tag == "form":
            self._inside = not self.found and values.get("action") == self._action
            self.found |= self._inside
        elif not self._inside:
            return
        elif tag == "input" and (values.get("type") != "checkbox" or "checked" in values):
            self.fields[name] = value
        elif tag == "button":
            self.buttons.append((name, value))
        elif tag == "textarea":
            self._area, self.fields[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and (self._select not in self.fields or "selected" in values):
            self.fields[self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea" and self._area:
            # HTML takes away one line break at the beginning; browsers send CR LF.
            text = self.fields[self._area].removeprefix("\n")
            self.fields[self._area], self._area = text.replace("\n", "\r\n"), ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data
