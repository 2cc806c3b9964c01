import assert from 'node:assert/strict';

/** For a machine with much else to do. */
const PATIENCE_SECONDS = 100;
const PAUSE_MILLISECONDS = 50;

/** Asks again and again until the answer is as wanted; where it never is, the test fails with the last one. */
export async function untilAnswer<T>(ask: () => Promise<T>, wanted: T): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const answer = await ask();
    if (answer === wanted) return;
    if (performance.now() > giveUpAt) assert.deepEqual(answer, wanted);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
  }
}
