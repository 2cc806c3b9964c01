import { parentPort, workerData } from 'node:worker_threads';
import { fuzzReaders } from './readers.ts';

/** The readers take the processor for long: on a thread of their own, so that answers of the server are measured in time. */
const { end, seed } = workerData as { end: number; seed: number };
const told = await fuzzReaders(end, seed, (fault) => parentPort?.postMessage({ fault }));
parentPort?.postMessage({ told });
