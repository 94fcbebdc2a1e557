"""Models with several targets, providers with several keys, fallbacks by kind: a whole gateway, real sockets.

`members.py` makes the providers and asks; `stage.py` is for test_any_course.py alone, in which one request
goes any course there is, without sockets.
"""
