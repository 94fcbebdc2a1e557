"""The fault wall: what a provider may do wrong at which moment, and what client, breaker and provider see.

`rows.py` is the table; `test_wall.py` runs each row plain and streamed, alone, with a fallback, and with a
circuit that opens between its retries. To see what was observed as a table:

    python -m pytest tests/wall/test_wall.py --wall-table
"""
