/** Spans of requests, and of what they wait for, for OpenTelemetry. No value, name or user is in any. */
export interface Tracing {
  /** Begins the span of a request, below the caller's own where its header `traceparent` names one (W3C Trace Context). */
  begin(traceparent: string | undefined): CallSpan;
  /** Does `work` in a span below that of the request which it is part of. */
  step<T>(name: Step, work: () => Promise<T>): Promise<T>;
  /** A span for what has ended just now, after so many seconds. */
  ended(name: Step, seconds: number, ok: boolean): void;
  /** Sends what is left, for `TRACES_FLUSH_SECONDS` at most. */
  close(): Promise<void>;
}

/** What a request waits for. */
export type Step = 'store.write' | 'delivery' | 'root_key';

export interface CallSpan {
  /** What `work` begins belongs to this span. */
  run(work: () => void): void;
  end(call: { call: string; method: string; status: number; outcome: string }): void;
}
