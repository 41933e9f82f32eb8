"""The functions of wit/skill.wit."""

import wit_world
from componentize_py_types import Err
from wit_world import Summary


class WitWorld(wit_world.WitWorld):
    def summarise(self, text: str) -> Summary:
        words = text.split()
        if not words:
            raise Err("the text has no words")
        return Summary(words=len(words), longest=max(words, key=len))

    def repeat(self, text: str, times: int | None) -> str:
        # A bound, so that no argument makes it run out of memory.
        return text * min(2 if times is None else times, 1_000)
