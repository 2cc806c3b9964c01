/** A map of at most `max` entries: where a new one has no room, the oldest is forgotten. */
export function createRemembered<Key, Value>(max: number) {
  const entries = new Map<Key, Value>();
  return {
    get: (key: Key): Value | undefined => entries.get(key),
    forget: (key: Key): boolean => entries.delete(key),
    put(key: Key, value: Value): void {
      entries.delete(key);
      entries.set(key, value);
      if (entries.size > max) entries.delete(entries.keys().next().value as Key);
    },
  };
}
