// The layering between rooms (docs/developer.md, "Rooms and floors"): a room imports only from rooms on lower floors.

const floors = {
  cli: 7,
  site: 6,
  server: 5,
  pilot: 5,
  delivery: 4,
  panda: 4,
  vault: 3,
  jobs: 3,
  identity: 3,
  payload: 3,
  sealed: 3,
  audit: 2,
  client: 2,
  masking: 2,
  metrics: 2,
  sealing: 2,
  tracing: 2,
  events: 1,
  files: 1,
  pages: 1,
  store: 1,
  protocol: 0,
};

/** Rooms that may not be imported from a room, though they are on a lower floor. */
const kept = {
  // "Who knows nothing of what" in the design: HTTP knows no SQL and no cipher, the node nothing of the server's insides.
  server: ['store', 'sealing', 'sealed', 'client'],
  pilot: ['store', 'vault', 'jobs', 'identity', 'delivery', 'panda'],
  vault: ['client'],
  jobs: ['client', 'sealing'],
  identity: ['client', 'sealing'],
  payload: ['store', 'client', 'sealing', 'audit'],
  delivery: ['client', 'identity', 'sealed'],
  // PanDA's words for jobs, and nothing else.
  panda: ['store', 'files', 'sealing', 'masking', 'client', 'audit', 'identity', 'vault', 'sealed'],
  // What a user sealed is none of a server's business.
  site: ['sealed'],
};

const climbs = Object.entries(floors).map(([room, floor]) => {
  const forbidden = Object.keys(floors).filter(
    (other) => other !== room && (floors[other] >= floor || kept[room]?.includes(other)),
  );
  return {
    name: `${room}-imports-only-from-lower-floors`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: { path: `^src/(${forbidden.join('|')})/` },
  };
});

/** `pbook`, `prun` and the pilot run on machines that have no server: their start must not load its rooms. */
const commands = {
  name: 'users-commands-know-no-server',
  severity: 'error',
  from: { path: '^src/cli/(pbook|prun)/' },
  to: { path: '^src/(site|server|panda|store|vault|jobs|identity|delivery)/' },
};

export default {
  forbidden: [
    ...climbs,
    commands,
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'source-imports-no-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|demo|scripts)/' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
};
