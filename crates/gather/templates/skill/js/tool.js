// Makes what a function throws the error of its result, `result<…, string>` in wit/skill.wit: of an Error, its message.
// Without it an Error ends the call as a fault of the skill. Where a function has no such result, nothing that is thrown
// can be told, and the call ends like that too.

const tell = (error) => {
  throw error instanceof Error ? error.message : error;
};

export const tool = (run) => (...given) => {
  try {
    const answer = run(...given);
    return answer instanceof Promise ? answer.catch(tell) : answer;
  } catch (error) {
    return tell(error);
  }
};
