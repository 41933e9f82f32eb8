// The functions of wit/skill.wit.

import { tool } from "./tool.js";

export const summarise = tool((text) => {
  const words = text.split(/\s+/u).filter((word) => word !== "");
  if (words.length === 0) {
    // What is thrown is the error of the result.
    throw new Error("the text has no words");
  }
  const longest = words.reduce((best, word) => ([...word].length > [...best].length ? word : best));
  return { words: words.length, longest };
});

export const repeat = tool((text, times) =>
  // A bound, so that no argument makes it run out of memory.
  text.repeat(Math.min(times ?? 2, 1_000)),
);
