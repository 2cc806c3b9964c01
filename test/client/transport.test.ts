import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Transport } from '../../src/client/transport.ts';

// The compiler is the test: a line that it lets through below is an error of its own ("unused @ts-expect-error").
test('a client that misspells a call, an argument or a field of an answer does not compile', () => {
  const misspelt = async (transport: Transport) => {
    // @ts-expect-error the path
    await transport.get('creds/list_user_secret', {});
    // @ts-expect-error the HTTP method
    await transport.post('creds/list_user_secrets', {});
    // @ts-expect-error a file is not in an envelope
    await transport.get('job/get_file', { job_id: 1, attempt: 1, name: 'a' });
    // @ts-expect-error an argument
    await transport.get('creds/get_secret_versions', { keys: 'A' });
    // @ts-expect-error an argument beside the right ones
    await transport.post('creds/restore_secret', { key: 'A', version: 1, force: true });
    // @ts-expect-error the type of an argument
    await transport.post('creds/restore_secret', { key: 'A', version: '1' });
    // @ts-expect-error an argument that is needed
    await transport.post('creds/restore_secret', { key: 'A' });
    const { data } = await transport.get('creds/list_user_secrets', {});
    // @ts-expect-error a field of the answer
    return data[0]?.createdAt;
  };
  assert.ok(misspelt);
});
