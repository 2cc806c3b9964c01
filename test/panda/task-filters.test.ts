import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTaskFilters } from '../../src/panda/task-filters.ts';

const parse = (filters: object) => parseTaskFilters(JSON.stringify(filters));

test("PanDA's columns name what tasks are listed by", () => {
  assert.deepEqual(parse({}), {});
  assert.deepEqual(parse({ jediTaskID: '7|8' }), { ids: [7, 8] });
  assert.deepEqual(parse({ taskName: 'user.alice.two' }), { names: ['user.alice.two/'] });
  assert.deepEqual(parse({ status: 'ready' }), { states: ['ready'] });
  assert.deepEqual(parse({ superStatus: 'failed|done' }), { states: ['done', 'failed'] });
  assert.deepEqual(parse({ site: 'gpu', userName: 'Alice Doe' }), { queues: ['gpu'], ownerNames: ['Alice Doe'] });
});

test('two filters on one column must both hold', () => {
  assert.deepEqual(parse({ jediTaskID: '7|8', reqID: 8 }), { ids: [8] });
  assert.deepEqual(parse({ superStatus: 'running', status: 'ready' }), { states: [] });
});

test('a filter that is unknown or makes no sense is refused', () => {
  const refused = { code: 'ERR_INVALID_ARGUMENT' };
  assert.throws(() => parse({ colour: 'red' }), { ...refused, message: /"colour" is unknown/ });
  assert.throws(() => parse({ constructor: 'x' }), refused);
  assert.throws(() => parse({ jediTaskID: '1 or 1=1' }), refused);
  assert.throws(() => parse({ site: 'a\0b' }), refused);
  assert.throws(() => parse({ site: ['a'] }), refused);
  assert.throws(() => parseTaskFilters('[]'), refused);
  assert.throws(() => parseTaskFilters('{'), refused);
});
