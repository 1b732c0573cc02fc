"""One module a page. Each gives its routes; control.app puts them together."""
