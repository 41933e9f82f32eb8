// The cases of the conformance suite of CEL as JSON, one list. Cases about protocol buffers are left out: their messages,
// their enumerations, and the wrappers of their values.
import { tests } from "@bufbuild/cel-spec/testdata/conformance.js";

const cases = [];
const walk = (suite, path) => {
  for (const child of suite.suites ?? []) walk(child, [...path, child.name]);
  for (const { original } of suite.tests ?? []) {
    const { expr, value, bindings, evalError } = original;
    if (/proto|TestAllTypes|Wrapper/.test(JSON.stringify([original.container, original.typeEnv, expr, value, bindings, path]))) continue;
    cases.push({ path: [...path, original.name], expr, value, bindings: bindings ?? {}, fails: evalError !== undefined });
  }
};
walk(tests, []);
console.log(JSON.stringify(cases));
