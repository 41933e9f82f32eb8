// Makes component.wasm of skill.js: `gather skill build` runs this.
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";

const { component } = await componentize({
  sourcePath: "skill.js",
  witPath: "wit",
  worldName: "skill",
  // What the skill does not use it need not carry. Leave "http" out of the list to use fetch().
  disableFeatures: ["http", "fetch-event"],
});
await writeFile("component.wasm", component);
