"""The decks of the course: how they are filled, drawn, built and looked at.

    deck.py      a deck's slides, notes and code markers; excerpt.py cuts the code out of its files
    recorded.py  measurements, each recorded with its command and machine in slides/measured/
    svg.py charts.py diagrams.py pictures.py    pictures from those measurements
    build.py     HTML and PDF by Marp; look.py measures and photographs the result in Chromium

What a deck measures and draws stands in the INI file beside it. A deck is added by adding its two
files; no Python changes.
"""
