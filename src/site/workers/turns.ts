/** A process that writes the SQLite database that it shares with others. */
export interface Writer {
  /** It is its turn now. @param isWanted another one waits already */
  grant(isWanted: boolean): void;
  /** Another one waits now: it gives the turn back after the transaction that it is in. */
  want(): void;
}

/** Gives the turn to write to one writer after the other, in the order in which they asked. */
export interface Turns {
  ask(writer: Writer): void;
  /** @param isMore it asks at once again */
  giveBack(writer: Writer, isMore: boolean): void;
  /** It has ended, maybe with the turn: SQLite undoes what it had not committed. */
  forget(writer: Writer): void;
}

export function createTurns(): Turns {
  let holder: Writer | undefined;
  const waiting = new Set<Writer>();

  function next(): void {
    [holder] = waiting;
    if (!holder) return;
    waiting.delete(holder);
    holder.grant(waiting.size > 0);
  }

  const turns: Turns = {
    ask(writer) {
      if (writer === holder || waiting.has(writer)) return;
      waiting.add(writer);
      if (!holder) next();
      else if (waiting.size === 1) holder.want();
    },
    giveBack(writer, isMore) {
      if (writer !== holder) return;
      if (isMore) waiting.add(writer);
      next();
    },
    forget(writer) {
      waiting.delete(writer);
      if (writer === holder) next();
    },
  };
  return turns;
}
