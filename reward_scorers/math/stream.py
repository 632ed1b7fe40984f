"""Reading tokens one after the other."""

from __future__ import annotations

from reward_scorers.math.tokens import MARK, NAME, Token, Unreadable


class TokenStream:
    """Tokens and the place of the next one."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    def value(self, ahead: int = 0) -> str:
        """What the next token says, "" at the end; a number, a letter or words say nothing."""
        place = self.place + ahead
        if place >= len(self.tokens):
            return ""
        token = self.tokens[place]
        return token.value if token.kind in (NAME, MARK) else ""

    def kind(self, ahead: int = 0) -> str:
        """The next token's kind, "" at the end."""
        place = self.place + ahead
        return self.tokens[place].kind if place < len(self.tokens) else ""

    def take(self) -> Token:
        """The next token, read."""
        if self.place >= len(self.tokens):
            raise Unreadable("it ends too early")
        self.place += 1
        return self.tokens[self.place - 1]

    def skip(self, *values: str) -> bool:
        """Read the next token if it is one of these."""
        if self.value() in values:
            self.place += 1
            return True
        return False

    def expect(self, *values: str) -> str:
        """Read the next token, which has to be one of these."""
        found = self.value()
        if found not in values:
            raise Unreadable(f"expected {' or '.join(values)}, found {found or 'something else'!r}")
        self.place += 1
        return found

    def expect_end(self) -> None:
        """Nothing may be left."""
        if self.place < len(self.tokens):
            raise Unreadable(f"cannot go on at {self.tokens[self.place].value!r}")
