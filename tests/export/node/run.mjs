// Runs an exported model: node run.mjs model.onnx inputs.json … > outputs.json
// Each file of inputs holds {name: {type, dims, data}}; out comes a list of the same.
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
const arrays = { float32: Float32Array, int32: Int32Array };
const [model, ...files] = process.argv.slice(2);
const session = await ort.InferenceSession.create(await readFile(model));
const shown = [];
for (const file of files) {
  const feeds = {};
  for (const [name, { type, dims, data }] of Object.entries(JSON.parse(await readFile(file)))) {
    feeds[name] = new ort.Tensor(type, arrays[type].from(data), dims);
  }
  const outputs = Object.entries(await session.run(feeds));
  shown.push(
    Object.fromEntries(
      outputs.map(([name, { type, dims, data }]) => [name, { type, dims, data: [...data] }]),
    ),
  );
}
console.log(JSON.stringify(shown));
