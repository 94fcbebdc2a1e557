"""Tests of the provider side on the wire, most of them with fakes and no socket."""
