// The functions of wit/skill.wit.

export function summarise(text) {
  const words = text.split(/\s+/u).filter((word) => word !== "");
  if (words.length === 0) {
    // What is thrown is the error of the result.
    throw "the text has no words";
  }
  const longest = words.reduce((best, word) => ([...word].length > [...best].length ? word : best));
  return { words: words.length, longest };
}

export function repeat(text, times) {
  // A bound, so that no argument makes it run out of memory.
  return text.repeat(Math.min(times ?? 2, 1_000));
}
