"""From the declaration of a setting to a form, and from what was typed back to values.

`declared.py` says of each setting what a form, or a program, has to know of it; `typed.py` is what people typed, to
show again and to read; `build.py` joins both with mistakes to what a template shows.
"""
