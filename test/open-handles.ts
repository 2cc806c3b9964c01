// Loaded into the process of each test file by `npm test`. What a test leaves open (a server, a pipe of a process that goes on)
// keeps its process from ending, for which the run would wait without a limit: Node's time limit is for tests alone.

import { after } from 'node:test';

const PATIENCE_SECONDS = 60;

if (process.env['NODE_TEST_CONTEXT']) {
  after(() => {
    const giveUp = () => {
      console.error(
        `${PATIENCE_SECONDS} s after the last test is open: ${process.getActiveResourcesInfo().join(', ')}`,
      );
      process.exit(1);
    };
    setTimeout(giveUp, PATIENCE_SECONDS * 1000).unref();
  });
}
