"""The parts of the documents that are made from the code, a module for each document; see ../generate.py."""
