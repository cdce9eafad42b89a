// Times one network in ONNX Runtime: node time_onnx.js FOLDER MODEL [threads [runs]] -> {"model": ..., "ms": best for 10 s of audio}
// FOLDER holds MODEL.onnx (from export_torch.py) and node_modules with onnxruntime-node.
'use strict';
const path = require('path');

const [folder, model, threads = '1', runs = '5'] = process.argv.slice(2);
const ort = require(require.resolve('onnxruntime-node', { paths: [path.resolve(folder)] }));
const work = require('./work.json')[model];

// Normal noise (Box and Muller, a congruential generator): the networks take the same time for any input.
function noise(n) {
  const x = new Float32Array(n);
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  for (let i = 0; i < n; i++) x[i] = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return x;
}

async function main() {
  const session = await ort.InferenceSession.create(path.join(folder, model + '.onnx'), {
    executionProviders: ['cpu'],
    intraOpNumThreads: +threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  const shape = [work.timed, ...work.shape];
  const input = new ort.Tensor('float32', noise(shape.reduce((a, b) => a * b)), shape);
  await session.run({ input }); // packs, allocates
  let best = Infinity;
  for (let i = 0; i < +runs; i++) {
    const start = performance.now();
    await session.run({ input });
    best = Math.min(best, performance.now() - start);
  }
  const ms = (best * work.items) / work.timed;
  console.log(JSON.stringify({ model, threads: +threads, ms: +ms.toFixed(3) }));
}

main();
