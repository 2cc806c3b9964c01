import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toListedTask } from '../../src/panda/task-answers.ts';

test('a task is listed as PanDA does', () => {
  const listed = toListedTask({
    taskId: 10_000_001,
    name: 'user.alice.test/',
    ownerName: 'Alice Doe',
    state: 'finishing',
    queue: null,
    usesSecrets: false,
    maxAttempts: 3,
    diagnosis: '',
    createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    modifiedAt: Date.UTC(2026, 0, 2, 3, 4, 6),
    endedAt: undefined,
    jobs: { total: 3, waiting: 0, active: 1, finished: 1, failed: 1, cancelled: 0 },
  });
  assert.deepEqual(listed, {
    jediTaskID: 10_000_001,
    reqID: 10_000_001,
    taskName: 'user.alice.test/',
    userName: 'Alice Doe',
    creationDate: '2026-01-02 03:04:05',
    modificationTime: '2026-01-02 03:04:06',
    superStatus: 'running',
    status: 'finishing',
    errorDialog: '',
    pctfinished: 33,
    pctfailed: 33,
    nfiles: 3,
    nfilesfinished: 1,
    nfilesfailed: 1,
    site: null,
  });
});
