"""The scheme editor as a browser sees it: its fields read, some of them typed anew, and sent."""

from html.parser import HTMLParser


def fields_in(page):
    """Every field of the editor as a browser would send it."""

    class Fields(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.select, self.area = [], None, None

        def handle_starttag(self, tag, attrs):
            said = dict(attrs)
            if tag == "input" and said.get("type") not in ("file", "submit") and "name" in said:
                is_box = said.get("type") == "checkbox"
                if not is_box or "checked" in said:
                    self.found.append((said["name"], said.get("value") or ""))
            elif tag == "select":
                self.select = said.get("name")
                self.first = True
            elif tag == "option" and self.select and ("selected" in said or self.first):
                if self.first:
                    self.found.append((self.select, said.get("value") or ""))
                else:
                    self.found[-1] = (self.select, said.get("value") or "")
                self.first = False
            elif tag == "textarea":
                self.area = said["name"]
                self.found.append((self.area, ""))

        def handle_endtag(self, tag):
            if tag == "select":
                self.select = None
            elif tag == "textarea":
                self.area = None

        def handle_data(self, text):
            if self.area:
                self.found[-1] = (self.area, self.found[-1][1] + text)

    found = Fields()
    found.feed(page.text.partition('id="scheme"')[2])
    return found.found


async def post(client, address, fields):
    data = {}
    for name, text in fields:
        data.setdefault(name, []).append(text)
    return await client.post(address, data=data)


def with_(fields, **changed):
    renamed = {name.replace("__", "."): text for name, text in changed.items()}
    return [(name, renamed.get(name, text)) for name, text in fields]
