"""What policy does, without doing it: to one file (trial.py), or to the mail of the past under other settings.

`compare.rehearse` reads recorded evidence (past.py) and asks the criteria themselves (treatment.py).
"""
