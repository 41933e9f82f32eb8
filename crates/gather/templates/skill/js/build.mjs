// Makes component.wasm of skill.js: `gather skill build` runs this.
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";

const { component } = await componentize({
  sourcePath: "skill.js",
  witPath: "wit",
  worldName: "skill",
  // Take "http" out of the list to use fetch(), in an async function; the origins go into skill.json. Put neither "clocks"
  // nor "random" in: without them the time and the seed of this build are frozen into the component.
  disableFeatures: ["http", "fetch-event"],
});
await writeFile("component.wasm", component);
