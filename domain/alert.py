"""Alerts: messages to operators."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Alert(BaseModel):
    """A message to operators; contains no secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="One line: what happened.")
    text: str = Field(default="", description="More about it, and what to do.")
    severity: Literal["error", "warning", "note"] = Field(default="error", description="How urgent it is.")
    analysis: str | None = Field(default=None, description="Whose matter it is.")
    link: str | None = Field(default=None, description="Where to look.")
    facts: tuple[tuple[str, str], ...] = Field(default=(), description="Names and values worth a line each.")

    def body(self) -> str:
        """Return the whole message as plain text."""
        facts = [f"{name}: {value}" for name, value in self.facts]
        return "\n".join(part for part in (self.title, self.text, *facts, self.link) if part)
