"""How the Guru reference implementation scores (github.com/LLM360/Reasoning360, commit 13158341).

These are the rules on which published Guru numbers rest, flaws included, written anew from their
behaviour. docs/scorers.md lists where they differ from ours, with an example each.
"""
