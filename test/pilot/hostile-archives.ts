import type { Entry } from './archives.ts';

/** Archives that would write or reach out of the folder in which they are unpacked, or write through a link: whatever unpacks a sandbox refuses each. */
export const HOSTILE_ARCHIVES: Record<string, Entry[]> = {
  'a path with ..': [{ path: '../evil', content: 'x' }],
  'a path with .. in the middle': [{ path: 'a/../../evil', content: 'x' }],
  'an absolute path': [{ path: '/tmp/panda-evil', content: 'x' }],
  'a link to an absolute path': [{ path: 'evil', type: 'SymbolicLink', linkpath: '/etc/passwd' }],
  'a link that climbs out': [{ path: 'a/evil', type: 'SymbolicLink', linkpath: '../../evil' }],
  'a link that climbs out through another': [
    { path: 'd/up', type: 'SymbolicLink', linkpath: '..' },
    { path: 'evil', type: 'SymbolicLink', linkpath: 'd/up/../evil' },
  ],
  'a file written through a link': [
    { path: 'd', type: 'SymbolicLink', linkpath: '..' },
    { path: 'd/evil', content: 'x' },
  ],
  'a file written through a link in a folder': [
    { path: 'd/up', type: 'SymbolicLink', linkpath: '..' },
    { path: 'd/up/evil', content: 'x' },
  ],
  'a file written through a hard link to a link': [
    { path: 'a/b/up', type: 'SymbolicLink', linkpath: '../..' },
    { path: 'up', type: 'Link', linkpath: 'a/b/up' },
    { path: 'up/evil', content: 'x' },
  ],
  'a hard link out': [{ path: 'evil', type: 'Link', linkpath: '../evil' }],
  'a hard link to an absolute path': [{ path: 'evil', type: 'Link', linkpath: '/etc/passwd' }],
  'a pipe': [{ path: 'evil', type: 'FIFO' }],
  'a device': [{ path: 'evil', type: 'CharacterDevice' }],
};
