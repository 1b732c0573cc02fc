"""Signs of malware that no signature knows (AV-03): features of content while it is walked, weighed by families.

    watch.py      goes with one walk: a sheet of features for each content that is open, judged when it is closed
    rules.py      families, points, levels, and marks to look for, from the annex `heuristics` of the definitions
    names.py      what a file name pretends
    program.py    anatomy of PE files
    shortcut.py   Windows shortcuts
    texts.py      scripts, and pages that run scripts
    other.py      what else a picture or document is

A feature is a name with a number. What it means is data of the definitions, and none of it is code here. A verdict is a
virus name as of any signature, `Heuristic.FAMILY`, and its reasons stand in the facts beside it.

Known gaps: p-code of macros, scripts inside of compiled help and installers, and programs of .NET are seen as octets;
nothing is run.
"""
